// One Go client with a connection pool of its own, used as an SDK uses it: answers of the engine keep their connection for the next
// request; a connection that was handed to a monitor must never come back to the pool. Prints "ok" or what went wrong.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
)

var (
	client http.Client
	handed = map[string]bool{} // local ends of connections that carried a handed-over answer
	conn   net.Conn
	dialed int
)

func call(method, path, body string, status int, handedOver bool) []byte {
	request, _ := http.NewRequest(method, "http://tare/v1.50"+path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { conn = info.Conn }}
	response, err := client.Do(request.WithContext(httptrace.WithClientTrace(context.Background(), trace)))
	if err != nil {
		fail("%s %s: %v", method, path, err)
	}
	key := fmt.Sprintf("%p", conn)
	if handed[key] {
		fail("%s %s: went over a connection that was handed over before", method, path)
	}
	data, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != status {
		fail("%s %s: %d %v %s", method, path, response.StatusCode, err, data)
	}
	if handedOver {
		handed[key] = true
	}
	return data
}

func fail(format string, arguments ...any) {
	fmt.Printf(format+"\n", arguments...)
	os.Exit(1)
}

func main() {
	client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialed++
		return (&net.Dialer{}).DialContext(ctx, "unix", os.Args[1])
	}}
	for turn := 0; turn < 50; turn++ {
		var made struct{ Id string }
		body := fmt.Sprintf(`{"Image":"busybox","Cmd":["sh","-c","echo %d; exit %d"]}`, turn, turn)
		json.Unmarshal(call("POST", "/containers/create", body, 201, false), &made)
		call("POST", "/containers/"+made.Id+"/start", "", 204, false)
		if answer := call("POST", "/containers/"+made.Id+"/wait", "", 200, true); !bytes.Contains(answer, []byte(fmt.Sprintf(`"StatusCode":%d`, turn))) {
			fail("wait: %s", answer)
		}
		if logs := call("GET", "/containers/"+made.Id+"/logs?stdout=1", "", 200, true); !bytes.HasSuffix(logs, []byte(fmt.Sprintf("%d\n", turn))) {
			fail("logs: %q", logs)
		}
		call("DELETE", "/containers/"+made.Id, "", 204, false)
	}
	if dialed > 2*50+10 {
		fail("%d connections: the engine's own answers were not reused", dialed)
	}
	fmt.Println("ok")
}
