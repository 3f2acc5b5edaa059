package rpc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"heddle/yarn/rpc/internal/rpcpb"
	"heddle/yarn/rpc/internal/wire"
)

// requestHeader is the header of every packet that a client sends. retry is -1
// for packets that are no calls.
func requestHeader(id int32, clientID []byte, retry int32) *rpcpb.RpcRequestHeaderProto {
	if clientID == nil {
		clientID = []byte{} // required: nil would count as missing
	}
	return &rpcpb.RpcRequestHeaderProto{
		RpcKind:    rpcpb.RpcKindProto_RPC_PROTOCOL_BUFFER.Enum(),
		RpcOp:      rpcpb.RpcRequestHeaderProto_RPC_FINAL_PACKET.Enum(),
		CallId:     &id,
		ClientId:   clientID,
		RetryCount: &retry,
	}
}

// A response is what a server sends, parsed as far as it can be without knowing
// the call.
type response struct {
	id     int32
	header *rpcpb.RpcResponseHeaderProto
	body   []byte // the message after the header; nil unless the status is SUCCESS
}

// parseResponse parses a packet of the server.
func parseResponse(frame []byte) (*response, error) {
	var h rpcpb.RpcResponseHeaderProto
	rest, err := wire.TakeMessage(frame, &h)
	if err != nil {
		return nil, fmt.Errorf("response header: %w", err)
	}
	r := &response{id: int32(h.GetCallId()), header: &h}
	if h.GetStatus() == rpcpb.RpcResponseHeaderProto_SUCCESS {
		if r.body, rest, err = wire.TakeBytes(rest); err != nil {
			return nil, fmt.Errorf("response message: %w", err)
		}
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes follow the end of the response", len(rest))
	}
	return r, nil
}

// remoteError returns the error that the response reports, nil for a success.
func (r *response) remoteError(addr string) *RemoteError {
	if r.header.GetStatus() == rpcpb.RpcResponseHeaderProto_SUCCESS {
		return nil
	}
	e := &RemoteError{
		Class: r.header.GetExceptionClassName(),
		Addr:  addr,
		Code:  Code(r.header.GetErrorDetail()),
		// An error that belongs to no call leaves a connection of no use.
		Fatal: r.header.GetStatus() == rpcpb.RpcResponseHeaderProto_FATAL || r.id < 0,
	}
	e.Message, e.Trace = splitTrace(r.header.GetErrorMsg())
	return e
}

// A frameReader reads packets from a connection.
type frameReader struct {
	r     *bufio.Reader
	max   int
	first bool // nothing valid was read yet: the other side may be anything
}

func newFrameReader(r io.Reader, limit int) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 16<<10), max: limit, first: true}
}

// next returns the content of the next packet. io.EOF means that the connection
// ended between two packets.
func (f *frameReader) next() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if f.first {
		if size == 0xFFFFFFFF {
			return nil, f.legacyFatal()
		}
		if what := foreign(head); what != "" {
			return nil, &ProtocolError{Foreign: true, Reason: "what listens there is not Hadoop RPC but " + what}
		}
	}
	if uint64(size) > uint64(f.max) {
		return nil, &ProtocolError{Foreign: f.first, Reason: fmt.Sprintf("a packet of %d bytes is beyond the limit of %d", size, f.max)}
	}
	b, err := wire.ReadSized(f.r, int(size))
	if err != nil {
		return nil, noEOF(err)
	}
	return b, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// legacyFatal reads the refusal of a server that speaks a version before 9: an
// int32, then class and message, each with an int32 length.
func (f *frameReader) legacyFatal() error {
	const maxText = 64 << 10
	str := func() (string, error) {
		var n [4]byte
		if _, err := io.ReadFull(f.r, n[:]); err != nil {
			return "", noEOF(err)
		}
		size := binary.BigEndian.Uint32(n[:])
		if size > maxText {
			return "", fmt.Errorf("text of %d bytes", size)
		}
		b, err := wire.ReadSized(f.r, int(size))
		return string(b), noEOF(err)
	}
	var status [4]byte
	_, err := io.ReadFull(f.r, status[:])
	var class, message string
	if err == nil {
		class, err = str()
	}
	if err == nil {
		message, err = str()
	}
	if err != nil {
		return &ProtocolError{Foreign: true, Reason: fmt.Sprintf("the server speaks a version of Hadoop RPC before 9 (%v)", err)}
	}
	e := &RemoteError{Class: class, Code: FatalVersionMismatch, Fatal: true}
	e.Message, e.Trace = splitTrace(message)
	return e
}

// foreign recognises other protocols by their first four bytes.
func foreign(head [4]byte) string {
	switch s := string(head[:]); {
	case s == "HTTP" || s == "<htm" || s == "<!DO":
		return "HTTP (a web port?)"
	case s == "SSH-":
		return "SSH"
	case head[0] == 0x15 && head[1] == 3 || head[0] == 0x16 && head[1] == 3:
		return "TLS (a secure web port?)"
	}
	return ""
}
