package orders

import (
	"errors"

	"heddle/task"
)

// user is one line of the side input.
type user struct {
	ID      string `json:"user"`
	Name    string `json:"name"`
	Country string `json:"country"`
	Closed  bool   `json:"closed"`
}

// customer is what the store holds of a user: what an order needs.
type customer struct {
	Name    string `json:"name"`
	Country string `json:"country"`
}

// Users makes entries of the store "users" from the stream of users, registered
// as "enrich.Users". A message without a value, which is how a compacted topic
// deletes, removes the user, and so does a closed account.
func Users(m *task.Message, s task.Store) error {
	if m.ValueBytes == nil {
		key, err := m.Key()
		if err != nil {
			return err
		}
		return s.Delete(key)
	}
	var u user
	if err := m.Decode(&u); err != nil {
		return err
	}
	switch {
	case u.ID == "" || u.Name == "" && !u.Closed:
		return &task.DecodeError{Source: m.Source, Offset: m.Offset, Part: "value", Err: errors.New(`a user needs "user", and "name" or "closed"`)}
	case u.Closed:
		return s.Delete(u.ID)
	}
	return s.Put(u.ID, customer{u.Name, u.Country})
}
