# SPDX-License-Identifier: Apache-2.0
# Commands that end by themselves, from compilers to interpreters: a row is a name and its words.
# All say the same whenever they are run.
COMMANDS = {
    "ffmpeg": ["ffmpeg", "-v", "error", "-f", "lavfi", "-i",
               "testsrc2=size=640x360:duration=4", "-c:v", "libx264", "-preset", "veryfast",
               "-threads", "4", "-f", "framemd5", "-"],
    "R": ["R", "--vanilla", "-s", "-e", "set.seed(1); x <- lapply(1:20000, function(i) "
          "rnorm(i %% 200)); print(sum(lengths(x)))"],
    "guile": ["guile", "-c",
              "(define h (make-hash-table)) (do ((i 0 (1+ i))) ((= i 300000)) (hash-set! h i "
              r"(make-string (modulo i 50) #\a))) (display (hash-count (const #t) h))"],
    "php": ["php", "-n", "-d", "memory_limit=1G", "-r",
            'for ($i = 0; $i < 200000; $i++) $a[] = str_repeat("x", $i % 900); '
            "echo md5(serialize($a));"],
    "ruby": ["ruby", "-e", 'h = {}; 100000.times { |i| h[i] = "x" * (i * 7 % 2000); '
             "h.delete(i / 2) if i.odd? }; p h.size, h.values.sum(&:size)"],
    "octave": ["octave-cli", "-q", "--eval", 'rand("twister",1); for i = 1:3000, '
               "c{i} = rand(1, mod(i * 37, 500)); end; disp(sum(cellfun(@sum, c)))"],
    "clang++": ["clang++", "-x", "c++", "-O2", "-S", "-o", "-", "-include", "regex", "-include",
                "map", "/dev/null"],
    "emacs": ["emacs", "--batch", "-Q", "-l", "org", "--eval", "(princ (length load-history))"],
    "sort": ["sh", "-c", "seq 300000 | sort -k1.3 --parallel=4 | cksum"],
}
