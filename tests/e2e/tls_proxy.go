// SPDX-License-Identifier: GPL-2.0-or-later

// Hands on what it is asked for: tls_proxy ADDRESS URL, whose certificate it does not look at.
package main

import (
	"crypto/tls"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	behind, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.Transport = &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
	}
	log.Fatal(http.ListenAndServe(os.Args[1], proxy))
}
