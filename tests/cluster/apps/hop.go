// Answers with what the next one answers: hop PORT NEXT
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		log.Print("go hop")
		next, err := http.NewRequestWithContext(request.Context(), http.MethodGet, os.Args[2], nil)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusInternalServerError)
			return
		}
		answer, err := http.DefaultClient.Do(next)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintf(writer, "go %s", body)
	})
	log.Fatal(http.ListenAndServe(":"+os.Args[1], nil))
}
