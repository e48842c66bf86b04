// Verifies a webhook with Go's standard library: WEBHOOK_SECRET=whsec_.. go run verify.go HEADERS_FILE BODY_FILE
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Verify is true if the request is genuine and recent. body: exactly as received.
func Verify(secret string, headers http.Header, body []byte) bool {
	id, sentAt := headers.Get("webhook-id"), headers.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(sentAt, 10, 64)
	key, wrong := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if id == "" || err != nil || wrong != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(append([]byte(id+"."+sentAt+"."), body...))
	expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	// While a secret is rotated there are two signatures: one that matches is enough.
	for _, given := range strings.Split(headers.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(given), expected) {
			return true
		}
	}
	return false
}

func main() {
	lines, _ := os.ReadFile(os.Args[1])
	headers := http.Header{}
	for _, line := range strings.Split(string(lines), "\n") {
		name, value, _ := strings.Cut(line, ":")
		headers.Set(name, strings.TrimSpace(value))
	}
	body, err := os.ReadFile(os.Args[2])
	if err != nil || !Verify(os.Getenv("WEBHOOK_SECRET"), headers, body) {
		os.Exit(1)
	}
}
