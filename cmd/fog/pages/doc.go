// Package pages keeps the memory of `fog classify` to what it uses; importing it is all there is to do. On Linux 6.18 and later a page
// fault maps the whole of the large folio that holds the page. A program of 70 MiB that was just linked, or read at one go, lies in folios of
// 2 MiB, so that its packages' initialisation maps nearly all of it, before main. A folio that does not fit into one mapping of the address
// space is mapped page by page. So the package cuts the program's mappings into small ones, ahead of the packages that touch many.
//
// Only classify does so: the rest of fog is better off with large pages than with a small number in the table of processes.
package pages
