// Package accesslog writes one line a request in the combined format of Apache, as the stock registry does. Unlike
// there a response may be sent by sendfile, whose bytes count, and the line names the user that was let in. Where
// the lines go is left to others.
package accesslog

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/felixge/httpsnoop"
)

// Handler writes a line to out, in one call of Write, when next has answered a request.
func Handler(out io.Writer, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := line{began: time.Now()}
		uri := r.RequestURI // a layer may change the URL, but not this
		answer := httpsnoop.CaptureMetricsFn(w, func(w http.ResponseWriter) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), lineKey{}, &l)))
		})
		text := l.append(make([]byte, 0, usual), r, uri, answer)
		_, _ = out.Write(text) // there is nowhere to report it
	})
}

// usual is a length in bytes that most lines do not reach.
const usual = 512

type lineKey struct{}

// line is what is known of a request besides its answer.
type line struct {
	began time.Time
	user  string
}

// SetUser names the user of the request of ctx.
func SetUser(ctx context.Context, name string) {
	if l, ok := ctx.Value(lineKey{}).(*line); ok {
		l.user = name
	}
}

func (l *line) append(text []byte, r *http.Request, uri string, answer httpsnoop.Metrics) []byte {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	text = append(text, host...)
	text = append(text, " - "...)
	text = appendUser(text, l.user)
	text = l.began.AppendFormat(text, " [02/Jan/2006:15:04:05 -0700] ")
	text = strconv.AppendQuote(text, r.Method+" "+uri+" "+r.Proto)
	text = append(text, ' ')
	text = strconv.AppendInt(text, int64(answer.Code), 10)
	text = append(text, ' ')
	text = strconv.AppendInt(text, answer.Written, 10)
	text = append(text, ' ')
	text = strconv.AppendQuote(text, r.Referer())
	text = append(text, ' ')
	text = strconv.AppendQuote(text, r.UserAgent())
	return append(text, '\n')
}

// appendUser quotes a name that would not be one word.
func appendUser(text []byte, user string) []byte {
	if user == "" {
		return append(text, '-')
	}
	quoted := strconv.AppendQuote(nil, user)
	if string(quoted[1:len(quoted)-1]) != user || strings.Contains(user, " ") {
		return append(text, quoted...)
	}
	return append(text, user...)
}
