package main

import (
	"fmt"
	"net"
)

// An echo server with a goroutine for each connection, until it is killed.
func serveEcho([]int) {
	doors, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fail(err.Error())
	}
	fmt.Printf("listening on %s\n", doors.Addr())
	for {
		peer, err := doors.Accept()
		if err != nil {
			fail(err.Error())
		}
		go func() {
			defer peer.Close()
			data := make([]byte, 4096)
			for {
				got, err := peer.Read(data)
				if err != nil {
					return
				}
				if _, err = peer.Write(data[:got]); err != nil {
					return
				}
			}
		}()
	}
}
