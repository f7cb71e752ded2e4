package eventbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// An archiveChange is what calls of the API made of an archive of the template.
type archiveChange struct {
	Deleted  bool
	Settings archiveSettings
}

// restoreArchive returns an archive of the template with what an earlier run changed on it, or nil when it was deleted.
func (s *Service) restoreArchive(a *archive) (*archive, error) {
	var changed archiveChange
	found, err := s.archiveDrift.Load(a.name, a.properties, &changed)
	if err != nil || !found {
		return a, err
	}
	if changed.Deleted {
		return nil, nil
	}
	return s.withSettings(a, changed.Settings)
}

// withSettings returns the archive with other settings.
func (s *Service) withSettings(a *archive, set archiveSettings) (*archive, error) {
	b, err := s.findBus(a.busARN)
	if err != nil {
		return nil, err
	}
	made, err := s.newArchive(a.name, b, set)
	if err != nil {
		return nil, err
	}
	made.created, made.properties = a.created, a.properties
	return made, nil
}

type archiveRequest struct {
	ArchiveName, EventSourceArn string
	Description, EventPattern   *string // nil: as it is
	RetentionDays               *int
}

// apply returns the settings as the request changes them.
func (r archiveRequest) apply(set archiveSettings) (archiveSettings, error) {
	if r.Description != nil {
		set.Description = *r.Description
	}
	if r.RetentionDays != nil {
		set.Days = *r.RetentionDays
	}
	if r.EventPattern != nil {
		if set.EventPattern = json.RawMessage(*r.EventPattern); *r.EventPattern != "" && !json.Valid(set.EventPattern) {
			return set, &apiError{http.StatusBadRequest, "InvalidEventPatternException", "Event pattern is not valid. Reason: it is not JSON."}
		}
	}
	return set, nil
}

type archiveResponse struct {
	ArchiveArn, State string
	CreationTime      *timestamp
}

// createArchive creates an archive that exists until the end of the run.
// Source: EventBridge API reference, CreateArchive.
func (s *Service) createArchive(request archiveRequest) (archiveResponse, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	b, err := s.findBus(request.EventSourceArn)
	if err != nil {
		return archiveResponse{}, notFound(err)
	}
	set, err := request.apply(archiveSettings{})
	if err != nil {
		return archiveResponse{}, err
	}
	made, err := s.newArchive(request.ArchiveName, b, set)
	if err != nil {
		return archiveResponse{}, invalid("%v", err)
	}
	if s.archiveWith(func(a *archive) bool { return a.name == made.name }) != nil {
		return archiveResponse{}, &apiError{http.StatusBadRequest, "ResourceAlreadyExistsException", "Archive " + made.name + " already exists."}
	}
	if err := s.empty(made); err != nil { // of one that an earlier run had by that name
		return archiveResponse{}, err
	}
	s.setArchive(nil, made)
	return made.response(), nil
}

// updateArchive changes an archive. What it changes on one of the template stays in later runs.
// Source: EventBridge API reference, UpdateArchive.
func (s *Service) updateArchive(request archiveRequest) (archiveResponse, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	old, err := s.existingArchive(request.ArchiveName)
	if err != nil {
		return archiveResponse{}, err
	}
	set, err := request.apply(old.settings)
	if err != nil {
		return archiveResponse{}, err
	}
	made, err := s.withSettings(old, set)
	if err != nil {
		return archiveResponse{}, invalid("%v", err)
	}
	if err := s.keepArchiveChange(old, archiveChange{Settings: set}); err != nil {
		return archiveResponse{}, err
	}
	s.setArchive(old, made)
	return made.response(), nil
}

// deleteArchive deletes an archive with its events. One of the template stays deleted in later runs.
// Source: EventBridge API reference, DeleteArchive.
func (s *Service) deleteArchive(request archiveRequest) (empty, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	old, err := s.existingArchive(request.ArchiveName)
	if err != nil {
		return empty{}, err
	}
	if err := s.keepArchiveChange(old, archiveChange{Deleted: true}); err != nil {
		return empty{}, err
	}
	s.setArchive(old, nil)
	return empty{}, s.empty(old)
}

// keepArchiveChange stores what was changed on an archive of the template.
func (s *Service) keepArchiveChange(a *archive, c archiveChange) error {
	if a.properties == nil {
		return nil
	}
	return s.archiveDrift.Save(a.name, a.properties, c)
}

// existingArchive returns the archive, or the error that AWS has for one that does not exist.
func (s *Service) existingArchive(name string) (*archive, error) {
	a := s.archiveWith(func(a *archive) bool { return a.name == name })
	if a == nil {
		return nil, notFound(fmt.Errorf("Archive %s does not exist.", name))
	}
	return a, nil
}

// setArchive puts an archive in the place of an old one; either may be nil.
func (s *Service) setArchive(old, made *archive) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.archives = slices.DeleteFunc(slices.Clone(s.archives), func(a *archive) bool { return a == old })
	if made != nil {
		s.archives = append(s.archives, made)
	}
}

// empty deletes the events of an archive.
func (s *Service) empty(a *archive) error {
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(a.bucket()) })
	if errors.Is(err, bolterrors.ErrBucketNotFound) {
		return nil
	}
	return err
}

func (a *archive) response() archiveResponse {
	return archiveResponse{a.arn, "ENABLED", newTimestamp(a.created)}
}
