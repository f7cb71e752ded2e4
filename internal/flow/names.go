package flow

import "strings"

// hashLength is how many digits CDK adds to a logical id.
const hashLength = 8

// names fills in all that may become nodes, with their names.
func (r *reader) names() {
	var paths [][]string
	for _, res := range r.Resources {
		if path, ok := res.Metadata["aws:cdk:path"].(string); ok {
			paths = append(paths, strings.Split(path, "/"))
		}
	}
	shared := len(commonPrefix(paths))
	for id, res := range r.Resources {
		kind, ok := kinds[res.Type]
		if !ok {
			continue
		}
		n := &Node{ID: id, Kind: kind, Path: withoutHash(id)}
		if path, ok := res.Metadata["aws:cdk:path"].(string); ok {
			n.Path = readable(strings.Split(path, "/")[shared:], n.Path)
		}
		n.Name = n.Path[strings.LastIndex(n.Path, "/")+1:]
		r.nodes[id] = n
	}
}

// readable returns a path without what CDK adds at its end, or other where nothing is left.
func readable(path []string, other string) string {
	for len(path) > 0 && (path[len(path)-1] == "Resource" || path[len(path)-1] == "Default") {
		path = path[:len(path)-1]
	}
	if len(path) == 0 {
		return other
	}
	return strings.Join(path, "/")
}

// commonPrefix returns what all paths begin with.
func commonPrefix(paths [][]string) []string {
	if len(paths) == 0 {
		return nil
	}
	prefix := paths[0]
	for _, path := range paths {
		for i := range prefix {
			if i >= len(path) || path[i] != prefix[i] {
				prefix = prefix[:i]
				break
			}
		}
	}
	return prefix
}

// withoutHash returns a logical id without the digits that CDK adds.
func withoutHash(id string) string {
	if len(id) <= hashLength || strings.Trim(id[len(id)-hashLength:], "0123456789ABCDEF") != "" {
		return id
	}
	return id[:len(id)-hashLength]
}
