// A chat server's hot path on the centrifuge library, for `make compare`: publish over HTTP with a JWT, delivery over WebSocket.
//
// What it does as pychat does: judges the sender's token, decodes and bounds the body, looks the channel up, hands the
// message to every connection of the recipient. What it does not: a limit on the sender's rate, membership, a queue that outlives the
// connection, acknowledgement, storage.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/centrifugal/centrifuge"
	"github.com/golang-jwt/jwt/v5"
)

const maxBody = 16_000

type claims struct {
	ID string `json:"id"`
	jwt.RegisteredClaims
}

type order struct {
	Message struct {
		ChatID  string `json:"chat_id"`
		Payload string `json:"payload"`
	} `json:"message"`
}

type delivered struct {
	Sender string `json:"sender"`
	Text   string `json:"text"`
}

type server struct {
	node *centrifuge.Node
	key  []byte
}

func (s *server) userOf(token string) (string, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return s.key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	return c.ID, err
}

func (s *server) publish(w http.ResponseWriter, r *http.Request) {
	user, err := s.userOf(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if err != nil {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	var o order
	if json.Unmarshal(body, &o) != nil || o.Message.ChatID == "" || o.Message.Payload == "" {
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	data, err := json.Marshal(delivered{Sender: user, Text: o.Message.Payload})
	if err == nil {
		_, err = s.node.Publish(o.Message.ChatID, data)
	}
	if err != nil {
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write([]byte("null"))
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8000", "address to serve on")
	flag.Parse()
	key := []byte(os.Getenv("PEER_SIGNING_KEY"))
	if len(key) < 32 {
		log.Fatal("PEER_SIGNING_KEY must have at least 32 bytes")
	}
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError})
	if err != nil {
		log.Fatal(err)
	}
	s := &server{node: node, key: key}
	// Who connects is in a channel of the user's own, the place of pychat's mailbox.
	node.OnConnecting(func(_ context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		user, err := s.userOf(e.Token)
		if err != nil {
			return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
		}
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{UserID: user},
			Subscriptions: map[string]centrifuge.SubscribeOptions{"user:" + user: {}},
		}, nil
	})
	node.OnConnect(func(*centrifuge.Client) {})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	http.HandleFunc("POST /publish", s.publish)
	log.Fatal(http.ListenAndServe(*listen, nil))
}
