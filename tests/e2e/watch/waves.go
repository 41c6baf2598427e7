// SPDX-License-Identifier: Apache-2.0
// A service whose load comes in waves: what the page of `ebb watch` is tested and pictured with.
//
//	waves [MIB [SECONDS]]    a wave is MIB high and SECONDS long; says "ready" behind the first
package main

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

const steps = 40 // of a wave

type session struct{ body []byte }

func argument(at, fallback int) int {
	if len(os.Args) <= at {
		return fallback
	}
	value, err := strconv.Atoi(os.Args[at])
	if err != nil {
		panic(err)
	}
	return value
}

// As many sessions as the load of this moment asks for; one in eight of the small ones stays in a
// page with those that go.
func serve(sessions []*session, mib int) []*session {
	for len(sessions) < mib*8 {
		body := make([]byte, 128<<10-len(sessions)%7*1024)
		for at := 0; at < len(body); at += 4096 {
			body[at] = 1
		}
		sessions = append(sessions, &session{body})
	}
	for at := mib * 8; at < len(sessions); at++ {
		sessions[at] = nil
	}
	return sessions[:mib*8]
}

func main() {
	mib, seconds := argument(1, 400), argument(2, 20)
	pause := time.Duration(seconds) * time.Second / steps
	var sessions []*session
	for wave := 0; ; wave++ {
		// No two waves are alike, and each run has the same ones.
		height := float64(mib) * (0.55 + 0.45*math.Abs(math.Sin(float64(wave)*1.9+1.2)))
		for step := 0; step < steps; step++ {
			load := math.Max(0.12, math.Sin(float64(step)/steps*2*math.Pi))
			sessions = serve(sessions, int(height*load))
			// The load has gone: what it held goes back, lazily where Go is told so.
			if step == steps/2 || step == steps*3/4 {
				debug.FreeOSMemory()
			}
			time.Sleep(pause)
		}
		if wave == 0 {
			fmt.Println("ready")
		}
	}
}
