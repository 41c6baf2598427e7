// SPDX-License-Identifier: Apache-2.0
// A Go program that holds live objects, garbage that was freed, and deep stacks, then stands still.
//
// It compiles with Go 1.15 and later. Arguments are key=value; see settings below. When it is at
// rest it prints "ready"; then each byte on stdin is an order: 'm' prints runtime.ReadMemStats as
// one line of JSON, 'g' collects, 'f' returns free memory, 'c' churns, 'q' ends it. Until the first
// 'm' it never calls ReadMemStats: several of the runtime's figures are stale before that.
package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type node struct {
	next  *node
	value [3]uintptr
}

var (
	kept   [][]byte
	chain  *node
	names  []string
	index  = map[int]*node{}
	stats  runtime.MemStats
	line   [8192]byte
	parked = make(chan bool)
	sink   byte
)

// Sizes in bytes: classes with and without rounding, the class that 1.16 added, and large ones.
var sizes = []int{8, 17, 24, 48, 100, 500, 1000, 3000, 9000, 20000, 32768, 32769, 200000}

var settings = map[string]int{
	"mib":     24, // roughly allocated in byte slices
	"live":    30, // percent of them that stay
	"nodes":   20000,
	"stacks":  50, // goroutines parked with 64 KiB stacks
	"free":    0,  // 1: return free memory before standing still
	"stop":    1,  // 0: leave the collector on (the figures may move)
	"threads": 0,  // OS threads locked in a system call
	"native":  0,  // MiB taken with malloc, in the cgo variant
}

func readSettings() {
	for _, argument := range os.Args[1:] {
		parts := strings.SplitN(argument, "=", 2)
		value, err := strconv.Atoi(parts[len(parts)-1])
		if _, known := settings[parts[0]]; !known || err != nil || len(parts) != 2 {
			os.Stderr.WriteString("held: unknown setting " + argument + "\n")
			os.Exit(2)
		}
		settings[parts[0]] = value
	}
}

// Every block is written, so that it is resident; those that stay are spread among those that go.
func allocate(bytes, livePercent int) {
	for i := 0; bytes > 0; i++ {
		block := make([]byte, sizes[i%len(sizes)])
		for at := 0; at < len(block); at += 4096 {
			block[at] = byte(i)
		}
		if i*37%100 < livePercent {
			kept = append(kept, block)
		}
		bytes -= len(block)
	}
}

func linkNodes(count int) {
	for i := 0; i < count; i++ {
		chain = &node{next: chain}
		if i%16 == 0 {
			index[i] = chain
		}
		if i%4 == 0 {
			names = append(names, strconv.Itoa(i+1000))
		}
	}
}

func deepStack(depth int) byte {
	var frame [1024]byte
	frame[depth%len(frame)] = 1
	if depth == 0 {
		<-parked
		return frame[0]
	}
	return deepStack(depth-1) + frame[depth%len(frame)]
}

func parkThread() {
	runtime.LockOSThread()
	var pair [2]int
	if syscall.Pipe(pair[:]) == nil {
		var byteRead [1]byte
		syscall.Read(pair[0], byteRead[:])
	}
}

func standStill() {
	runtime.GC()
	runtime.GC()
	if settings["free"] == 1 {
		debug.FreeOSMemory()
	}
	if settings["stop"] == 1 {
		debug.SetGCPercent(-1)
	}
	// The background sweeper and the finalizers' goroutine come to rest.
	time.Sleep(100 * time.Millisecond)
}

func appendField(to []byte, name string, value uint64) []byte {
	to = append(to, `, "`...)
	to = append(to, name...)
	to = append(to, `": `...)
	return strconv.AppendUint(to, value, 10)
}

// Writes without allocating, so that asking does not change what is asked for.
func printStats() {
	runtime.ReadMemStats(&stats)
	out := append(line[:0], `{"version": "`...)
	out = append(out, runtime.Version()...)
	out = append(out, `"`...)
	out = appendField(out, "Sys", stats.Sys)
	out = appendField(out, "HeapAlloc", stats.HeapAlloc)
	out = appendField(out, "HeapSys", stats.HeapSys)
	out = appendField(out, "HeapIdle", stats.HeapIdle)
	out = appendField(out, "HeapInuse", stats.HeapInuse)
	out = appendField(out, "HeapReleased", stats.HeapReleased)
	out = appendField(out, "HeapObjects", stats.HeapObjects)
	out = appendField(out, "StackInuse", stats.StackInuse)
	out = appendField(out, "StackSys", stats.StackSys)
	out = appendField(out, "MSpanInuse", stats.MSpanInuse)
	out = appendField(out, "MSpanSys", stats.MSpanSys)
	out = appendField(out, "MCacheInuse", stats.MCacheInuse)
	out = appendField(out, "MCacheSys", stats.MCacheSys)
	out = appendField(out, "BuckHashSys", stats.BuckHashSys)
	out = appendField(out, "GCSys", stats.GCSys)
	out = appendField(out, "OtherSys", stats.OtherSys)
	out = appendField(out, "TotalAlloc", stats.TotalAlloc)
	out = appendField(out, "Mallocs", stats.Mallocs)
	out = appendField(out, "Frees", stats.Frees)
	out = appendField(out, "NextGC", stats.NextGC)
	out = appendField(out, "LastGC", stats.LastGC)
	out = appendField(out, "NumGC", uint64(stats.NumGC))
	out = appendField(out, "NumForcedGC", uint64(stats.NumForcedGC))
	out = appendField(out, "PauseTotalNs", stats.PauseTotalNs)
	out = append(out, `, "GCCPUFraction": `...)
	if !math.IsNaN(stats.GCCPUFraction) {
		out = strconv.AppendFloat(out, stats.GCCPUFraction, 'g', -1, 64)
	}
	out = append(out, "}\n"...)
	syscall.Write(1, out)
}

func serve() {
	var order [1]byte
	for {
		count, err := syscall.Read(0, order[:])
		if err == syscall.EINTR {
			continue
		}
		if count != 1 || err != nil || order[0] == 'q' {
			return
		}
		switch order[0] {
		case 'm':
			printStats()
		case 'g':
			runtime.GC()
			syscall.Write(1, []byte("done\n"))
		case 'f':
			debug.FreeOSMemory()
			syscall.Write(1, []byte("done\n"))
		case 'c':
			allocate(8<<20, 0)
			syscall.Write(1, []byte("done\n"))
		}
	}
}

func main() {
	readSettings()
	takeNative(settings["native"])
	for i := 0; i < settings["threads"]; i++ {
		go parkThread()
	}
	for i := 0; i < settings["stacks"]; i++ {
		go deepStack(40)
	}
	allocate(settings["mib"]<<20, settings["live"])
	linkNodes(settings["nodes"])
	standStill()
	syscall.Write(1, []byte("ready\n"))
	serve()
	runtime.KeepAlive(kept)
}
