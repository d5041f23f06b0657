// The worker that a team writes by hand in Go: reads events, POSTs each to its webhook_url, commits. 64 goroutines, an idle pool sized for each
// host, a timeout of ten seconds; no retries, no deduplication, no state. Ends after so many deliveries and prints what they cost.
//
//	worker BROKERS TOPIC GROUP COUNT
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const goroutines = 64

type event struct {
	TaskID     string          `json:"task_id"`
	Status     string          `json:"status"`
	TaskType   string          `json:"task_type"`
	Result     json.RawMessage `json:"result,omitempty"`
	Error      *string         `json:"error,omitempty"`
	WebhookURL string          `json:"webhook_url,omitempty"`
}

type worker struct {
	kafka        *kgo.Client
	http         *http.Client
	posts, fails atomic.Int64
	count        int64
	done         chan struct{}
}

func (w *worker) post(record *kgo.Record) error {
	var e event
	if err := json.Unmarshal(record.Value, &e); err != nil {
		return err
	}
	url := e.WebhookURL
	e.WebhookURL = ""
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("webhook-id", e.TaskID)
	request.Header.Set("webhook-timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	response, err := w.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return err
}

func (w *worker) work(records <-chan *kgo.Record) {
	for record := range records {
		if w.post(record) != nil {
			w.fails.Add(1)
		}
		w.kafka.MarkCommitRecords(record)
		if w.posts.Add(1) == w.count {
			close(w.done)
		}
	}
}

func (w *worker) read(records chan<- *kgo.Record) {
	for {
		fetches := w.kafka.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		fetches.EachRecord(func(record *kgo.Record) { records <- record })
	}
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func main() {
	count, err := strconv.ParseInt(os.Args[4], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: goroutines, IdleConnTimeout: time.Minute}
	w := &worker{http: &http.Client{Transport: transport, Timeout: 10 * time.Second}, count: count, done: make(chan struct{})}
	w.kafka, err = kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.ConsumerGroup(os.Args[3]), kgo.ConsumeTopics(os.Args[2]),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitMarks())
	if err != nil {
		log.Fatal(err)
	}
	started := time.Now()
	records := make(chan *kgo.Record, goroutines)
	for i := 0; i < goroutines; i++ {
		go w.work(records)
	}
	go w.read(records)
	<-w.done
	posts := float64(w.posts.Load())
	fmt.Printf(`{"posts":%.0f,"failed":%d,"seconds":%.3f,"cpu_us_per_post":%.2f}`+"\n", posts, w.fails.Load(), time.Since(started).Seconds(),
		cpuSeconds()*1e6/posts)
	if err := w.kafka.CommitMarkedOffsets(context.Background()); err != nil {
		log.Print(err)
	}
}
