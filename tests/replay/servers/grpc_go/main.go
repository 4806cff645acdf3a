// gRPC by grpc-go: `grpc_go serve PORT...`, or `grpc_go call PORT`, which writes what it called: one JSON object a line.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const service = "shop.v1.Orders"

var names = map[codes.Code]string{
	codes.OK: "OK", codes.Canceled: "CANCELLED", codes.InvalidArgument: "INVALID_ARGUMENT", codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
	codes.NotFound: "NOT_FOUND", codes.PermissionDenied: "PERMISSION_DENIED", codes.Unauthenticated: "UNAUTHENTICATED", codes.Aborted: "ABORTED",
	codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
}

// raw passes bytes as they are.
type raw struct{}

func (raw) Marshal(value any) ([]byte, error) { return *value.(*[]byte), nil }

func (raw) Unmarshal(data []byte, value any) error {
	*value.(*[]byte) = bytes.Clone(data)
	return nil
}

func (raw) Name() string { return "raw" }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	if os.Args[1] == "call" {
		port, err := strconv.Atoi(os.Args[2])
		check(err)
		call(port)
		return
	}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}))
	server.RegisterService(&described, nil)
	for _, port := range os.Args[2:] {
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		check(err)
		go func() { check(server.Serve(listener)) }()
	}
	select {}
}

type unary func(ctx context.Context, request []byte) ([]byte, error)

func method(name string, handle unary) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var request []byte
		if err := decode(&request); err != nil {
			return nil, err
		}
		answer, err := handle(ctx, request)
		return &answer, err
	}}
}

// stream makes a method of which the handler is given what was received.
func stream(name string, toServer bool, handle func(stream grpc.ServerStream) error) grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName: name, ServerStreams: true, ClientStreams: toServer,
		Handler: func(_ any, stream grpc.ServerStream) error { return handle(stream) },
	}
}

func watch(stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	count, err := strconv.Atoi(string(request))
	for number := 0; number < count && err == nil; number++ {
		message := []byte(strconv.Itoa(number))
		err = stream.SendMsg(&message)
	}
	return err
}

// each hands on every message until the client has no more.
func each(stream grpc.ServerStream, with func(message []byte) error) error {
	for {
		var message []byte
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := with(message); err != nil {
			return err
		}
	}
}

var described = grpc.ServiceDesc{
	ServiceName: service, HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		method("Get", func(_ context.Context, request []byte) ([]byte, error) { return request, nil }),
		method("Fail", func(_ context.Context, request []byte) ([]byte, error) {
			for code, name := range names {
				if name == string(request) {
					return nil, status.Error(code, "secret text of an error")
				}
			}
			return request, nil
		}),
		method("Sleep", func(ctx context.Context, request []byte) ([]byte, error) {
			time.Sleep(500 * time.Millisecond)
			return request, nil
		}),
	},
	Streams: []grpc.StreamDesc{
		stream("Watch", false, watch),
		stream("Break", false, func(stream grpc.ServerStream) error {
			if err := watch(stream); err != nil {
				return err
			}
			return status.Error(codes.Aborted, "in the middle")
		}),
		stream("Forever", false, func(stream grpc.ServerStream) error {
			// So many that the caller asks for no more of them than it wants to see.
			for number := 0; number < 3; number++ {
				message := []byte{'0'}
				if err := stream.SendMsg(&message); err != nil {
					return err
				}
			}
			<-stream.Context().Done()
			return stream.Context().Err()
		}),
		stream("Upload", true, func(stream grpc.ServerStream) error {
			size := 0
			err := each(stream, func(message []byte) error { size += len(message); return nil })
			if err != nil {
				return err
			}
			answer := []byte(strconv.Itoa(size))
			return stream.SendMsg(&answer)
		}),
		stream("Chat", true, func(stream grpc.ServerStream) error {
			return each(stream, func(message []byte) error { return stream.SendMsg(&message) })
		}),
	},
}

// client calls on one connection and logs.
type client struct {
	port       int
	connection *grpc.ClientConn
	more       []grpc.CallOption
	log        *sync.Mutex
}

func connect(port int, more ...grpc.CallOption) client {
	target := "passthrough:///127.0.0.1:" + strconv.Itoa(port)
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	check(err)
	return client{port, connection, more, &sync.Mutex{}}
}

// operation logs one call with what passed.
func (c client) operation(name string, sent int, wanted codes.Code, run func() (received int, err error)) {
	start := time.Now().UnixNano()
	received, err := run()
	end := time.Now().UnixNano()
	code := status.Code(err)
	if code != wanted {
		check(fmt.Errorf("%s: %v, not %v", name, err, wanted))
	}
	line, err := json.Marshal(map[string]any{
		"protocol": "grpc", "port": c.port, "what": []string{service + "/" + name, fmt.Sprintf("%d/%d", sent, received)},
		"outcome": names[code], "start": start, "end": end, "completeness": "complete",
	})
	check(err)
	c.log.Lock()
	defer c.log.Unlock()
	fmt.Println(string(line))
}

func (c client) unary(name string, request []byte, wanted codes.Code, timeout time.Duration) {
	c.operation(name, 1, wanted, func() (int, error) {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		ctx = metadata.AppendToOutgoingContext(ctx, "x-request", strconv.Itoa(len(request)))
		var answer []byte
		err := c.connection.Invoke(ctx, "/"+service+"/"+name, &request, &answer, c.more...)
		if err != nil {
			return 0, err
		}
		return 1, nil
	})
}

// stream sends these messages and reads until the end, or cancels after so many.
func (c client) stream(name string, messages [][]byte, wanted codes.Code, cancelAfter int) {
	c.operation(name, len(messages), wanted, func() (int, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		described := grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
		stream, err := c.connection.NewStream(ctx, &described, "/"+service+"/"+name, c.more...)
		check(err)
		for _, message := range messages {
			check(stream.SendMsg(&message))
		}
		check(stream.CloseSend())
		for received := 0; ; received++ {
			if received > 0 && received == cancelAfter {
				cancel()
			}
			var answer []byte
			if err := stream.RecvMsg(&answer); errors.Is(err, io.EOF) {
				return received, nil
			} else if err != nil {
				return received, err
			}
		}
	})
}

func several(count int) [][]byte {
	messages := make([][]byte, count)
	for at := range messages {
		messages[at] = []byte(strings.Repeat("m", 20))
	}
	return messages
}

const long = 20 * time.Second

func calls(one client, rounds int) {
	for number := 0; number < rounds; number++ {
		one.unary("Get", bytes.Repeat([]byte("x"), number*37%500), codes.OK, long)
		one.stream("Watch", [][]byte{[]byte("5")}, codes.OK, 0)
		one.stream("Upload", several(7), codes.OK, 0)
		one.stream("Chat", several(4), codes.OK, 0)
		one.unary("Fail", []byte("NOT_FOUND"), codes.NotFound, long)
	}
	for _, code := range []codes.Code{codes.InvalidArgument, codes.PermissionDenied, codes.Unavailable, codes.Internal, codes.Unauthenticated} {
		one.unary("Fail", []byte(names[code]), code, long)
	}
	one.unary("Nothing", nil, codes.Unimplemented, long)
	one.stream("Break", [][]byte{[]byte("3")}, codes.Aborted, 0)
	one.unary("Get", bytes.Repeat([]byte("x"), 200_000), codes.OK, long)
	one.unary("Sleep", []byte("1"), codes.DeadlineExceeded, 150*time.Millisecond)
	one.stream("Forever", [][]byte{[]byte("1")}, codes.Canceled, 3)
}

func call(port int) {
	one := connect(port)
	calls(one, 24)
	check(one.connection.Close())
	packed := connect(port, grpc.UseCompressor(gzip.Name))
	calls(packed, 8)
	check(packed.connection.Close())
	together := connect(port)
	var running sync.WaitGroup
	for worker := 0; worker < 6; worker++ {
		running.Add(1)
		go func() {
			defer running.Done()
			for number := 0; number < 10; number++ {
				together.unary("Get", []byte("together"), codes.OK, long)
				together.stream("Watch", [][]byte{[]byte("3")}, codes.OK, 0)
			}
		}()
	}
	running.Wait()
	check(together.connection.Close())
}
