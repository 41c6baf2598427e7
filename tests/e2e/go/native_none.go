// SPDX-License-Identifier: Apache-2.0
// held without cgo: there is no malloc to take memory from.

//go:build !cgo
// +build !cgo

package main

func takeNative(mib int) {
}
