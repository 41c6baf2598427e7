// SPDX-License-Identifier: Apache-2.0
// A Go service that does what it is told, to see what a changed knob does. Orders on stdin, one a
// line, each answered by a line of numbers: "burst N" fills N MiB and keeps them, "drop" lets go
// and returns memory, "zero N" takes N MiB and answers how many bytes in them are not zero,
// "work N" does all of that N times with 32 MiB, "churn N" allocates N MiB of garbage, "gc"
// collects, "stats" answers NextGC, NumGC, HeapAlloc.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

const block = 64 << 10

var kept [][]byte
var sink []byte

func burst(mib int) {
	for i := 0; i < mib<<20/block; i++ {
		piece := make([]byte, block)
		for at := range piece {
			piece[at] = 0xa5
		}
		kept = append(kept, piece)
	}
}

// Fresh memory must be zero, whatever the runtime did with its pages before.
func countNonZero(mib int) int {
	wrong := 0
	for i := 0; i < mib<<20/block; i++ {
		piece := make([]byte, block)
		for _, value := range piece {
			if value != 0 {
				wrong++
			}
		}
		kept = append(kept, piece)
	}
	return wrong
}

func churn(mib int) {
	for i := 0; i < mib<<20/block; i++ {
		// Kept for a moment, or it would lie on the stack.
		sink = make([]byte, block)
		sink[i%block] = byte(i)
	}
}

// Returned and taken again, round by round, filled in between.
func work(rounds int) int {
	wrong := 0
	for i := 0; i < rounds; i++ {
		wrong += countNonZero(32)
		for _, piece := range kept {
			for at := range piece {
				piece[at] = 0x5a
			}
		}
		kept = nil
		debug.FreeOSMemory()
	}
	return wrong
}

func answer(order string, number int) {
	var stats runtime.MemStats
	switch order {
	case "burst":
		burst(number)
	case "drop":
		kept = nil
		debug.FreeOSMemory()
	case "zero":
		fmt.Println(countNonZero(number))
		return
	case "work":
		fmt.Println(work(number))
		return
	case "churn":
		churn(number)
	case "gc":
		runtime.GC()
	case "stats":
		runtime.ReadMemStats(&stats)
		fmt.Println(stats.NextGC, stats.NumGC, stats.HeapAlloc)
		return
	}
	fmt.Println(0)
}

func main() {
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var order string
		var number int
		fmt.Sscan(lines.Text(), &order, &number)
		answer(order, number)
	}
}
