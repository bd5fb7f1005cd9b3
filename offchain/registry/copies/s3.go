package copies

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3 keeps copies in a bucket, below a prefix.
type S3 struct {
	client         *minio.Client
	bucket, prefix string
	name           string
}

func newS3(u *url.URL, env func(string) string) (*S3, error) {
	bucket, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if u.Host == "" || bucket == "" {
		return nil, fmt.Errorf("%s names no bucket; write s3://HOST[:PORT]/BUCKET[/PREFIX]", u.Redacted())
	}
	if u.User != nil {
		return nil, errors.New("the keys of a bucket are not written into its address; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	query := u.Query()
	for name := range query {
		if name != "insecure" && name != "region" {
			return nil, fmt.Errorf("address of a bucket: %q is not known; insecure and region are", name)
		}
	}
	keys := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}})
	if id := env("AWS_ACCESS_KEY_ID"); id != "" {
		keys = credentials.NewStaticV4(id, env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN"))
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: keys, Secure: query.Get("insecure") != "true", Region: query.Get("region"),
		MaxRetries: 3}) // the registry tries again by itself
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", bucket, err)
	}
	s := &S3{client: client, bucket: bucket, name: "s3://" + u.Host + "/" + strings.Trim(u.Path, "/")}
	if prefix != "" {
		if err := CheckKey(prefix); err != nil {
			return nil, fmt.Errorf("prefix of a bucket: %w", err)
		}
		s.prefix = prefix + "/"
	}
	return s, nil
}

// Name is the address without its options.
func (s *S3) Name() string { return s.name }

func (s *S3) fail(err error) error {
	if err == nil {
		return nil
	}
	response := minio.ToErrorResponse(err)
	switch {
	case response.StatusCode == http.StatusNotFound && response.Code != minio.NoSuchBucket:
		return ErrMissing
	case response.Code == minio.NoSuchBucket:
		return fmt.Errorf("%s: there is no such bucket; make it first: %w", s.name, err)
	case response.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: access is denied; see AWS_ACCESS_KEY_ID and the bucket's policy: %w", s.name, err)
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// missing tells a key that is not there from a bucket that is not there: to both the answer is 404, without a word.
func (s *S3) missing(ctx context.Context, err error) error {
	err = s.fail(err)
	if !errors.Is(err, ErrMissing) {
		return err
	}
	if there, err := s.client.BucketExists(ctx, s.bucket); err != nil || !there {
		return errors.Join(fmt.Errorf("%s: there is no such bucket; make it first", s.name), err)
	}
	return err
}

// Put uploads; S3 shows an object when it is complete.
func (s *S3) Put(ctx context.Context, key string, body io.Reader, size int64) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	options := minio.PutObjectOptions{ContentType: "application/octet-stream"}
	options.DisableContentSha256 = size == 0 // or no bytes are sent as a chunk, which some servers refuse
	_, err := s.client.PutObject(ctx, s.bucket, s.prefix+key, body, size, options)
	return s.fail(err)
}

// Get opens the object.
func (s *S3) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	object, err := s.client.GetObject(ctx, s.bucket, s.prefix+key, minio.GetObjectOptions{})
	if err != nil {
		return nil, s.fail(err)
	}
	if _, err := object.Stat(); err != nil { // GetObject asks for nothing yet
		return nil, errors.Join(s.missing(ctx, err), object.Close())
	}
	return object, nil
}

// Delete removes the object.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	err := s.fail(s.client.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{}))
	if errors.Is(err, ErrMissing) {
		return nil
	}
	return err
}

// List asks for pages of keys.
func (s *S3) List(ctx context.Context, prefix string, each func(Object) error) error {
	ctx, cancel := context.WithCancel(ctx) // ends the pages if each fails
	defer cancel()
	for o := range s.client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}) {
		if o.Err != nil {
			return s.fail(o.Err)
		}
		if err := each(Object{strings.TrimPrefix(o.Key, s.prefix), o.Size}); err != nil {
			return err
		}
	}
	return ctx.Err()
}
