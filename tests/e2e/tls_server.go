// SPDX-License-Identifier: GPL-2.0-or-later

// An HTTPS server for tests: tls_server ADDRESS CERTIFICATE KEY. Answers "yes" to everything.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "yes")
	})
	log.Fatal(http.ListenAndServeTLS(os.Args[1], os.Args[2], os.Args[3], nil))
}
