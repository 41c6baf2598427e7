// SPDX-License-Identifier: Apache-2.0
// held with cgo: some memory comes from libc's malloc, beside Go's heap.

//go:build cgo
// +build cgo

package main

/*
#include <stdlib.h>
#include <string.h>

static void *take(size_t bytes)
{
	void *taken = malloc(bytes);
	if (taken != NULL)
		memset(taken, 1, bytes);
	return taken;
}
*/
import "C"

var native []interface{}

func takeNative(mib int) {
	for i := 0; i < mib; i++ {
		native = append(native, C.take(1<<20))
	}
}
