package config

import (
	"math"
	"net/url"
	"strings"
)

// Redis keeps blob descriptors for several registries that share their storage.
type Redis struct {
	// Addrs are host:port, of one server, of the nodes of a cluster or, with Master, of
	// sentinels.
	Addrs []string
	// Username is "" for the default user.
	Username string
	Password Secret
	// DB is the number of the database, always 0 in a cluster.
	DB  int
	TLS bool
	// Master is the name by which sentinels know the server, "" without sentinels;
	// SentinelPassword is theirs.
	Master           string
	SentinelPassword Secret
}

// redis is what the storage-redis-* options say, nil unless it is used.
func (r *reader) redis(used bool) *Redis {
	redis := Redis{
		Addrs:            r.addrs("storage-redis-addrs"),
		Username:         r.text("storage-redis-username"),
		Password:         r.secret("storage-redis-password"),
		DB:               r.num("storage-redis-db", 0, math.MaxInt32),
		TLS:              r.flag("storage-redis-tls"),
		Master:           r.text("storage-redis-sentinel-master"),
		SentinelPassword: r.secret("storage-redis-sentinel-password"),
	}
	if !used {
		return nil
	}
	if len(redis.Addrs) == 0 {
		r.complainOnce("storage-redis-addrs", `must be set when "storage-cache" is redis`)
	}
	if redis.Username != "" && redis.Password.IsZero() {
		r.complainOnce("storage-redis-password", `must be set together with "storage-redis-username"`)
	}
	if len(redis.Addrs) > 1 && redis.Master == "" && redis.DB != 0 {
		r.complain("storage-redis-db", `must be 0 for a cluster, which several "storage-redis-addrs" are without "storage-redis-sentinel-master"`)
	}
	if !redis.SentinelPassword.IsZero() && redis.Master == "" {
		r.complain("storage-redis-sentinel-password", `must be empty unless "storage-redis-sentinel-master" is set`)
	}
	return &redis
}

// addrs is an option that holds host:port, one or more, separated by commas or blanks.
func (r *reader) addrs(name string) []string {
	addrs := strings.FieldsFunc(r.text(name), func(c rune) bool { return c == ',' || c == ' ' })
	for i, addr := range addrs {
		if !hostAndPort(addr) {
			r.complain(name, `must be host:port such as "redis.example.com:6379" or "[2001:db8::1]:6379", several separated by commas: number %d is not`, i+1)
		}
	}
	return addrs
}

// hostAndPort says that text is a host and a port, an IPv6 address in brackets.
func hostAndPort(text string) bool {
	parsed, err := url.Parse("//" + text)
	if err != nil || parsed.Host != text || parsed.Port() == "" || !validPort(parsed) {
		return false
	}
	host := parsed.Hostname()
	return hostName().MatchString(host) && strings.Contains(host, ":") == strings.HasPrefix(text, "[")
}
