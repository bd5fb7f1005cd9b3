// Package image holds container images as OCI content on disk: it reads them from what other tools write, builds them from one
// static program, and checks them by digest.
//
// An image here is the manifest for one platform; its digest is the image's digest on chain. A folder that holds one is an OCI image
// layout: blobs/sha256/ with the manifest, the config and the layers, and an index.json that names the manifest. Layers stay as they
// came, compressed or not, so that the same content always has the same digest.
package image
