package load

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"os/exec"
	"time"
)

// FreePort is a port of the loopback address that nothing listens on.
func FreePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// Listening starts cmd and waits until its port takes connections.
func Listening(cmd *exec.Cmd, port string) (*exec.Cmd, string, error) {
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	addr := "127.0.0.1:" + port
	for ctx.Err() == nil {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return cmd, addr, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	cmd.Process.Kill()
	return nil, "", errors.New("did not listen: " + cmd.String())
}
