// Decodes header blocks with golang.org/x/net/http2/hpack, as often as it is asked to.
//
// The first line holds the blocks, hexadecimal, in the order in which a connection has them: their fields are the
// answer, a line each, and an empty line ends it. Each line after that is a number: all blocks are decoded so many times,
// and the answer is how many nanoseconds the thread ran for that.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/http2/hpack"
)

const (
	// What a connection begins with.
	tableSize = 4096
	// So that the table is full, and evicts what it takes in.
	before = 200
	// CLOCK_THREAD_CPUTIME_ID
	threadClock = 3
)

func main() {
	// The time of one thread is what counts.
	runtime.LockOSThread()
	input := bufio.NewScanner(os.Stdin)
	input.Scan()
	var blocks [][]byte
	for _, text := range strings.Fields(input.Text()) {
		block, err := hex.DecodeString(text)
		check(err)
		blocks = append(blocks, block)
	}
	var count, bytes int
	decoder := hpack.NewDecoder(tableSize, func(field hpack.HeaderField) {
		fmt.Printf("%s\t%s\n", field.Name, field.Value)
	})
	decode(decoder, blocks, 1)
	fmt.Println()
	decoder.SetEmitFunc(func(field hpack.HeaderField) {
		count++
		bytes += len(field.Name) + len(field.Value)
	})
	decode(decoder, blocks, before)
	for input.Scan() {
		times, err := strconv.Atoi(input.Text())
		check(err)
		start := threadTime()
		decode(decoder, blocks, times)
		fmt.Println(threadTime() - start)
	}
	if count == 0 || bytes == 0 {
		os.Exit(1)
	}
}

func decode(decoder *hpack.Decoder, blocks [][]byte, times int) {
	for range times {
		for _, block := range blocks {
			_, err := decoder.Write(block)
			check(err)
			check(decoder.Close())
		}
	}
}

func threadTime() int64 {
	var at syscall.Timespec
	_, _, failed := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&at)), 0)
	if failed != 0 {
		check(failed)
	}
	return at.Sec*int64(time.Second) + at.Nsec
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
