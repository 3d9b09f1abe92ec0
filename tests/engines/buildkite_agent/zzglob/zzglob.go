// Package zzglob stands in for the glob library of the Buildkite agent, which Go module proxies don't serve.
//
// It has the names that the agent uses, over doublestar. Patterns are those of doublestar: *, **, ?, [ab], {a,b}. What the
// real one knows beyond these, and a tilde for the home folder, is missing.
package zzglob

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bmatcuk/doublestar/v4"
)

// Pattern is a parsed pattern.
type Pattern struct{ text string }

type options struct{ traverseSymlinks bool }

// ParseOption and GlobOption change how a pattern is read, and how files are found.
type (
	ParseOption func()
	GlobOption  func(*options)
)

// ExpandTilde has no effect: a tilde is never expanded.
func ExpandTilde(bool) ParseOption { return func() {} }

// WalkIntermediateDirs has no effect: only what matches is walked.
func WalkIntermediateDirs(bool) GlobOption { return func(*options) {} }

// TraverseSymlinks says whether links to folders are followed.
func TraverseSymlinks(enable bool) GlobOption {
	return func(o *options) { o.traverseSymlinks = enable }
}

// Parse reads a pattern.
func Parse(text string, _ ...ParseOption) (*Pattern, error) {
	if !doublestar.ValidatePathPattern(text) {
		return nil, doublestar.ErrBadPattern
	}
	return &Pattern{text}, nil
}

// Match tells whether the whole path matches.
func (p *Pattern) Match(path string) bool {
	return doublestar.PathMatchUnvalidated(p.text, path)
}

// Glob calls walk for each path that matches, as fs.WalkDir does.
func (p *Pattern) Glob(walk fs.WalkDirFunc, given ...GlobOption) error {
	return MultiGlob(context.Background(), []*Pattern{p}, walk, given...)
}

// MultiGlob calls walk for each path that matches one of the patterns; for one that matches several, several times.
func MultiGlob(ctx context.Context, patterns []*Pattern, walk fs.WalkDirFunc, given ...GlobOption) error {
	var chosen options
	for _, option := range given {
		option(&chosen)
	}
	var more []doublestar.GlobOption
	if !chosen.traverseSymlinks {
		more = append(more, doublestar.WithNoFollow())
	}
	for _, pattern := range patterns {
		paths, err := doublestar.FilepathGlob(pattern.text, more...)
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := ctx.Err(); err != nil {
				return err
			}
			info, err := os.Lstat(path)
			var entry fs.DirEntry
			if err == nil {
				entry = fs.FileInfoToDirEntry(info)
			}
			if err := walk(filepath.ToSlash(path), entry, err); err != nil {
				return err
			}
		}
	}
	return nil
}
