// A receiver of jobhook's webhooks in Go, standard library only. Copy it; wasAskedFor and work are yours to replace.
//
//	WEBHOOK_SECRETS="whsec_… whpk_…" go run receiver.go HOST:PORT FOLDER
//
// FOLDER/asked.txt names the tasks that were asked for, one a line. FOLDER/inbox/ID is the event with that webhook-id, FOLDER/done/ID says that its
// work is done. README.md beside this file says why it does what it does.
package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	tolerance    = 300 * time.Second
	bodyBytesMax = 16 << 20
	silence      = 10 * time.Second
	jobsMax      = 100000
)

var (
	folder string
	keys   []key
	jobs   = make(chan string, jobsMax)
)

type event struct {
	TaskID string `json:"task_id"`
	Status string `json:"status"`
}

// ---- yours ----

// wasAskedFor: the id that the API gave you when you asked for the job.
func wasAskedFor(taskID string) bool {
	text, _ := os.ReadFile(filepath.Join(folder, "asked.txt"))
	for _, line := range strings.Split(string(text), "\n") {
		if taskID != "" && line == taskID {
			return true
		}
	}
	return false
}

// work runs after the answer, in the order of arrival; once more if the process dies in the middle of it.
func work(e event) {
	fmt.Println("done", e.TaskID, e.Status)
}

// ---- the signature (Standard Webhooks 1.0) ----

type key struct {
	secret []byte            // whsec_
	public ed25519.PublicKey // whpk_
}

func readKeys(text string) ([]key, error) {
	var keys []key
	for _, word := range strings.Fields(text) {
		prefix, rest, _ := strings.Cut(word, "_")
		bytes, err := base64.StdEncoding.Strict().DecodeString(rest)
		switch {
		case err == nil && prefix == "whsec" && len(bytes) >= 24 && len(bytes) <= 64:
			keys = append(keys, key{secret: bytes})
		case err == nil && prefix == "whpk" && len(bytes) == ed25519.PublicKeySize:
			keys = append(keys, key{public: bytes})
		default:
			return nil, errors.New("WEBHOOK_SECRETS: wants whsec_ and whpk_ secrets")
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("WEBHOOK_SECRETS is empty")
	}
	return keys, nil
}

func (k key) matches(version string, signature, content []byte) bool {
	if version == "v1" && k.secret != nil {
		mac := hmac.New(sha256.New, k.secret)
		mac.Write(content)
		return hmac.Equal(signature, mac.Sum(nil))
	}
	return version == "v1a" && k.public != nil && ed25519.Verify(k.public, content, signature)
}

var digits = regexp.MustCompile(`^[0-9]{1,15}$`)

func isAuthentic(id, timestamp, signatures string, body []byte) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || !digits.MatchString(timestamp) {
		return false
	}
	if age := time.Since(time.Unix(seconds, 0)).Truncate(time.Second); age > tolerance || age < -tolerance {
		return false
	}
	content := append([]byte(id+"."+timestamp+"."), body...)
	valid := false
	for i, entry := range strings.Split(signatures, " ") {
		version, text, _ := strings.Cut(entry, ",")
		signature, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || i >= 16 {
			continue
		}
		for _, k := range keys {
			valid = k.matches(version, signature, content) || valid
		}
	}
	return valid
}

// ---- once per webhook-id, and kept before the answer ----

// keep has it worked on, unless it is there already because it was sent before. Without an error, either is safe on the disk.
func keep(id string, body []byte) error {
	file, err := os.CreateTemp(folder, "."+id+".")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err = file.Write(body); err != nil {
		return err
	}
	if err = file.Sync(); err != nil {
		return err
	}
	inbox := filepath.Join(folder, "inbox")
	err = os.Link(file.Name(), filepath.Join(inbox, id)) // the whole file or none, and for one of two at the same time only
	if err == nil {
		jobs <- id // at once: if what follows fails, it comes again and is found there
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	directory, err := os.Open(inbox)
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}

func workOff() {
	for id := range jobs {
		var e event
		body, err := os.ReadFile(filepath.Join(folder, "inbox", id))
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil {
			log.Fatal(err)
		}
		work(e)
		if err := os.WriteFile(filepath.Join(folder, "done", id), nil, 0o600); err != nil {
			log.Fatal(err)
		}
	}
}

func begin() error {
	for _, name := range []string{"inbox", "done"} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o700); err != nil {
			return err
		}
	}
	go workOff()
	waiting, err := os.ReadDir(filepath.Join(folder, "inbox"))
	for _, entry := range waiting {
		if _, err := os.Stat(filepath.Join(folder, "done", entry.Name())); err != nil {
			jobs <- entry.Name()
		}
	}
	return err
}

// ---- HTTP ----

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func judge(header http.Header, body []byte) int {
	var values [3]string
	for i, name := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
		if len(header[name]) != 1 {
			return http.StatusBadRequest
		}
		values[i] = header[name][0]
	}
	if !plainID.MatchString(values[0]) {
		return http.StatusBadRequest
	}
	if !isAuthentic(values[0], values[1], values[2], body) {
		return http.StatusUnauthorized
	}
	var e event
	if json.Unmarshal(body, &e) != nil {
		return http.StatusBadRequest
	}
	if !wasAskedFor(e.TaskID) {
		return http.StatusNotFound
	}
	if err := keep(values[0], body); err != nil {
		log.Print(err)
		return http.StatusServiceUnavailable // jobhook comes again
	}
	return http.StatusNoContent
}

func take(writer http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		writer.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, bodyBytesMax))
	if err != nil {
		writer.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	writer.WriteHeader(judge(request.Header, body))
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: WEBHOOK_SECRETS=… receiver HOST:PORT FOLDER")
	}
	var err error
	if keys, err = readKeys(os.Getenv("WEBHOOK_SECRETS")); err != nil {
		log.Fatal(err)
	}
	folder = os.Args[2]
	if err = begin(); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	server := &http.Server{Handler: http.HandlerFunc(take), ReadTimeout: silence, WriteTimeout: silence}
	log.Fatal(server.Serve(listener))
}
