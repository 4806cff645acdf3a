// The Go server of the live tests: server PORT UPSTREAM_PORT.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func main() {
	upstream := os.Args[2]
	handle := func(response http.ResponseWriter, request *http.Request) {
		kind, name, _ := strings.Cut(strings.Trim(request.URL.Path, "/"), "/")
		sent, err := io.ReadAll(request.Body)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		status, body := http.StatusOK, []byte(fmt.Sprintf("{%q: %q}", "item", name))
		switch kind {
		case "missing":
			status = http.StatusNotFound
		case "echo":
			body = sent
		case "big":
			body = bytes.Repeat([]byte("x"), 1_000_000)
		case "chain":
			answer, err := http.Get("http://127.0.0.1:" + upstream + "/items/" + name)
			if err != nil {
				http.Error(response, err.Error(), http.StatusBadGateway)
				return
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		response.Header().Set("Content-Length", strconv.Itoa(len(body)))
		response.WriteHeader(status)
		response.Write(body)
	}
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(handle)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
