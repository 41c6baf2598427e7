// SPDX-License-Identifier: Apache-2.0
// The released-but-resident story: a service takes a burst of load and drops it; its runtime gives
// the memory back. Arguments: MiB of the burst, percent that stays live.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

func number(index, fallback int) int {
	if len(os.Args) > index {
		if value, err := strconv.Atoi(os.Args[index]); err == nil {
			return value
		}
	}
	return fallback
}

func main() {
	burst, live := number(1, 512), number(2, 10)
	const block = 64 << 10
	sessions := make([][]byte, burst<<20/block)
	for i := range sessions {
		sessions[i] = make([]byte, block)
		for page := 0; page < block; page += 4096 {
			sessions[i][page] = byte(i)
		}
	}
	// Those that stay lie together, as the oldest sessions of a service do.
	for i := len(sessions) * live / 100; i < len(sessions); i++ {
		sessions[i] = nil
	}
	debug.FreeOSMemory()
	fmt.Println("ready")
	time.Sleep(time.Hour)
	fmt.Println(len(sessions[0]))
}
