package proto

import "hornwork/linux"

// Attr is the attributes of an object, as the host's statx(2) reports them. Times are nanoseconds.
type Attr struct {
	Ino, Dev, Rdev             uint64
	Size, Blocks               int64
	Mode, Nlink, UID, GID      uint32
	Blksize                    uint32
	Atime, Mtime, Ctime, Btime int64
}

const attrSize = 5*8 + 5*4 + 4*8

func (a *Attr) fields(c *coder) {
	c.u64(&a.Ino)
	c.u64(&a.Dev)
	c.u64(&a.Rdev)
	c.i64(&a.Size)
	c.i64(&a.Blocks)
	c.u32(&a.Mode)
	c.u32(&a.Nlink)
	c.u32(&a.UID)
	c.u32(&a.GID)
	c.u32(&a.Blksize)
	c.i64(&a.Atime)
	c.i64(&a.Mtime)
	c.i64(&a.Ctime)
	c.i64(&a.Btime)
	if c.decode && (a.Size < 0 || a.Blocks < 0 || !validType(a.Mode)) {
		c.bad = true
	}
}

func validType(mode uint32) bool {
	switch mode & linux.S_IFMT {
	case linux.S_IFREG, linux.S_IFDIR, linux.S_IFLNK, linux.S_IFCHR, linux.S_IFBLK, linux.S_IFIFO, linux.S_IFSOCK:
		return mode>>16 == 0
	}
	return false
}

// Ref names an object: Path below the object of Handle.
type Ref struct {
	Handle uint64
	Path   []string
}

const minRef = 8 + 4

func (r *Ref) fields(c *coder) {
	c.u64(&r.Handle)
	names(c, &r.Path, MaxNames)
}

func names(c *coder, v *[]string, max int) {
	list(c, v, max, 3, (*coder).name)
}

// Node is an object in an answer. Handle is 0 where none was asked for.
type Node struct {
	Handle uint64
	Attr   Attr
}

const nodeSize = 8 + attrSize

func (n *Node) fields(c *coder) {
	c.u64(&n.Handle)
	n.Attr.fields(c)
}

// Channel asks for one more channel; its socket comes with the response.
type Channel struct{}

// Attach asks for the root directory number Root.
type Attach struct{ Root uint32 }

// Attached answers Attach with the root directory.
type Attached struct {
	Node     Node
	ReadOnly bool
}

// Handles says which objects of an answer get handles.
type Handles = uint8

// Which objects get handles.
const (
	NoHandles Handles = iota
	DirHandles
	AllHandles
)

// Walk goes from Dir along Names and stops at the first that is missing or no directory.
type Walk struct {
	Dir   Ref
	Names []string
	// Handles says what is to have a handle in the answer.
	Handles Handles
	// Open asks for the last object to be opened for reading, if it is a regular file.
	Open bool
}

// Walked answers Walk with the objects of a prefix of Names. Errno says why the next one is not there; it is
// zero if Nodes is complete or ends with what is not a directory. Target is the text of a final symbolic link.
type Walked struct {
	Nodes  []Node
	Errno  uint16
	Target string
	Opened bool // a descriptor of the last node came along
}

// Getattr asks for the attributes of several objects.
type Getattr struct{ Refs []Ref }

// AttrResult is one object's answer.
type AttrResult struct {
	Errno uint16
	Attr  Attr // all zero if Errno is not
}

// Attrs answers Getattr, one result for each Ref.
type Attrs struct{ Results []AttrResult }

// Setattr changes the attributes whose bit (linux.STATX_*) is in Mask.
type Setattr struct {
	Ref          Ref
	Mask         uint32
	Mode         uint32
	UID, GID     uint32
	Size         int64
	Atime, Mtime int64
}

// OneAttr is an answer with one object's attributes.
type OneAttr struct{ Attr Attr }

// Open asks for a descriptor of a regular file. Flags are O_RDONLY, O_WRONLY or O_RDWR, and O_TRUNC.
type Open struct {
	Ref    Ref
	Flags  uint32
	Handle bool // give the object a handle too
}

// Opened answers Open and Make.
type Opened struct {
	Node   Node
	Opened bool
}

// Make creates what Mode's type says: regular file, directory, symbolic link, FIFO or socket.
type Make struct {
	Dir      Ref
	Name     string // empty with Temp
	Mode     uint32
	UID, GID uint32
	Rdev     uint64
	Target   string
	Temp     bool // a regular file without a name
	Open     bool // donate a descriptor for reading and writing of a new regular file
}

// Link makes Name in Dir another name of Target.
type Link struct {
	Target Ref
	Dir    Ref
	Name   string
}

// Unlink removes Name from Dir: a directory if Directory, else anything else.
type Unlink struct {
	Dir       Ref
	Name      string
	Directory bool
}

// Rename moves OldName of From to NewName of To; Flags are linux.RENAME_*. Moved is the handle of the object,
// or 0, so that the gofer knows its new name.
type Rename struct {
	From    Ref
	OldName string
	To      Ref
	NewName string
	Flags   uint32
	Moved   uint64
}

// Readlink asks for the text of a symbolic link.
type Readlink struct{ Ref Ref }

// Target answers Readlink.
type Target struct{ Target string }

// Readdir asks for the entries of a directory from the position Pos on: 0, or what an Entry said.
type Readdir struct {
	Ref Ref
	Pos uint64
	// Attrs asks for attributes and link targets too. Without them the gofer need not look at each file, which
	// makes it ten times faster: find(1) wants no more.
	Attrs bool
}

// Entry is one entry of a directory, without "." and "..".
type Entry struct {
	Name   string
	Attr   Attr   // without Attrs only Ino and the type in Mode, except for directories
	Next   uint64 // the position after it
	Target string // of a symbolic link
}

// Entries answers Readdir. Handle is the directory's.
type Entries struct {
	Handle  uint64
	Attrs   bool // as it was asked
	Entries []Entry
	End     bool
}

// ReadAhead asks for the entries of the directories Names of Ref and of those below them, in the order in which
// somebody meets them who goes through the tree: as many as fit into the answer, at most Max.
type ReadAhead struct {
	Ref   Ref
	Names []string
	Attrs bool
	Max   uint32
}

// Lists answers ReadAhead. What cannot be read is left out.
type Lists struct {
	Attrs bool // as it was asked
	Lists []Sublist
}

// Sublist is all entries of the directory Name of list number Parent: 0 is the directory that was asked for,
// n is Lists[n-1], which stands before this one.
type Sublist struct {
	Parent  uint32
	Name    string
	Entries []Entry
}

// MaxAhead is the most lists of one answer.
const MaxAhead = 1024

// Statfs asks about the filesystem of an object.
type Statfs struct{ Ref Ref }

// StatfsResult answers Statfs, like struct statfs.
type StatfsResult struct {
	Type, Bsize, Frsize, Namelen, Flags int64
	Blocks, Bfree, Bavail, Files, Ffree uint64
}

// GetXattr asks for the value of one extended attribute.
type GetXattr struct {
	Ref  Ref
	Name string
}

// Value answers GetXattr.
type Value struct{ Value []byte }

// SetXattr sets one extended attribute; Flags are XATTR_CREATE or XATTR_REPLACE.
type SetXattr struct {
	Ref   Ref
	Name  string
	Value []byte
	Flags uint32
}

// ListXattr asks for the names of the extended attributes.
type ListXattr struct{ Ref Ref }

// XattrNames answers ListXattr.
type XattrNames struct{ Names []string }

// RemoveXattr removes one extended attribute.
type RemoveXattr struct {
	Ref  Ref
	Name string
}

// Sync asks for fsync(2) of a directory or file.
type Sync struct {
	Ref      Ref
	DataOnly bool
}

// Close gives handles back. It has no response.
type Close struct{ Handles []uint64 }

// Done is the answer of requests that return nothing.
type Done struct{}
