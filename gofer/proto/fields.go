package proto

import "hornwork/linux"

// How each message is laid out: its fields in order.

// kinds says which structures each Op has; Close has no response.
var kinds = [opEnd]struct {
	request  func() Request
	response func() Response
}{
	OpChannel:     {func() Request { return new(Channel) }, func() Response { return new(Done) }},
	OpAttach:      {func() Request { return new(Attach) }, func() Response { return new(Attached) }},
	OpWalk:        {func() Request { return new(Walk) }, func() Response { return new(Walked) }},
	OpGetattr:     {func() Request { return new(Getattr) }, func() Response { return new(Attrs) }},
	OpSetattr:     {func() Request { return new(Setattr) }, func() Response { return new(OneAttr) }},
	OpOpen:        {func() Request { return new(Open) }, func() Response { return new(Opened) }},
	OpMake:        {func() Request { return new(Make) }, func() Response { return new(Opened) }},
	OpLink:        {func() Request { return new(Link) }, func() Response { return new(OneAttr) }},
	OpUnlink:      {func() Request { return new(Unlink) }, func() Response { return new(Done) }},
	OpRename:      {func() Request { return new(Rename) }, func() Response { return new(Done) }},
	OpReadlink:    {func() Request { return new(Readlink) }, func() Response { return new(Target) }},
	OpReaddir:     {func() Request { return new(Readdir) }, func() Response { return new(Entries) }},
	OpReadAhead:   {func() Request { return new(ReadAhead) }, func() Response { return new(Lists) }},
	OpStatfs:      {func() Request { return new(Statfs) }, func() Response { return new(StatfsResult) }},
	OpGetXattr:    {func() Request { return new(GetXattr) }, func() Response { return new(Value) }},
	OpSetXattr:    {func() Request { return new(SetXattr) }, func() Response { return new(Done) }},
	OpListXattr:   {func() Request { return new(ListXattr) }, func() Response { return new(XattrNames) }},
	OpRemoveXattr: {func() Request { return new(RemoveXattr) }, func() Response { return new(Done) }},
	OpSync:        {func() Request { return new(Sync) }, func() Response { return new(Done) }},
	OpClose:       {func() Request { return new(Close) }, nil},
}

func (*Channel) Op() Op     { return OpChannel }
func (*Attach) Op() Op      { return OpAttach }
func (*Walk) Op() Op        { return OpWalk }
func (*Getattr) Op() Op     { return OpGetattr }
func (*Setattr) Op() Op     { return OpSetattr }
func (*Open) Op() Op        { return OpOpen }
func (*Make) Op() Op        { return OpMake }
func (*Link) Op() Op        { return OpLink }
func (*Unlink) Op() Op      { return OpUnlink }
func (*Rename) Op() Op      { return OpRename }
func (*Readlink) Op() Op    { return OpReadlink }
func (*Readdir) Op() Op     { return OpReaddir }
func (*ReadAhead) Op() Op   { return OpReadAhead }
func (*Statfs) Op() Op      { return OpStatfs }
func (*GetXattr) Op() Op    { return OpGetXattr }
func (*SetXattr) Op() Op    { return OpSetXattr }
func (*ListXattr) Op() Op   { return OpListXattr }
func (*RemoveXattr) Op() Op { return OpRemoveXattr }
func (*Sync) Op() Op        { return OpSync }
func (*Close) Op() Op       { return OpClose }

func (*Channel) fields(*coder) {}
func (*Done) fields(*coder)    {}

func (m *Attach) fields(c *coder) { c.u32(&m.Root) }

func (m *Attached) fields(c *coder) {
	m.Node.fields(c)
	c.flag(&m.ReadOnly)
}

func (m *Walk) fields(c *coder) {
	m.Dir.fields(c)
	names(c, &m.Names, MaxNames)
	c.u8(&m.Handles)
	c.bad = c.bad || m.Handles > AllHandles
	c.flag(&m.Open)
}

func (m *Walked) fields(c *coder) {
	list(c, &m.Nodes, MaxNames, nodeSize, func(c *coder, n *Node) { n.fields(c) })
	c.errno(&m.Errno)
	c.text(&m.Target, MaxTarget)
	c.flag(&m.Opened)
}

// errno is an error number inside a response.
func (c *coder) errno(v *uint16) {
	c.u16(v)
	c.bad = c.bad || *v > maxErrno
}

func (m *Getattr) fields(c *coder) {
	list(c, &m.Refs, MaxRefs, minRef, func(c *coder, r *Ref) { r.fields(c) })
}

func (m *Attrs) fields(c *coder) {
	list(c, &m.Results, MaxRefs, 2, func(c *coder, r *AttrResult) {
		c.errno(&r.Errno)
		if r.Errno == 0 {
			r.Attr.fields(c)
		}
	})
}

func (m *Setattr) fields(c *coder) {
	m.Ref.fields(c)
	c.u32(&m.Mask)
	c.u32(&m.Mode)
	c.u32(&m.UID)
	c.u32(&m.GID)
	c.i64(&m.Size)
	c.i64(&m.Atime)
	c.i64(&m.Mtime)
}

func (m *OneAttr) fields(c *coder) { m.Attr.fields(c) }

func (m *Open) fields(c *coder) {
	m.Ref.fields(c)
	c.u32(&m.Flags)
	c.flag(&m.Handle)
}

func (m *Opened) fields(c *coder) {
	m.Node.fields(c)
	c.flag(&m.Opened)
}

func (m *Make) fields(c *coder) {
	m.Dir.fields(c)
	c.flag(&m.Temp)
	if !m.Temp {
		c.name(&m.Name)
	}
	c.u32(&m.Mode)
	c.u32(&m.UID)
	c.u32(&m.GID)
	c.u64(&m.Rdev)
	c.text(&m.Target, MaxTarget)
	c.flag(&m.Open)
}

func (m *Link) fields(c *coder) {
	m.Target.fields(c)
	m.Dir.fields(c)
	c.name(&m.Name)
}

func (m *Unlink) fields(c *coder) {
	m.Dir.fields(c)
	c.name(&m.Name)
	c.flag(&m.Directory)
}

func (m *Rename) fields(c *coder) {
	m.From.fields(c)
	c.name(&m.OldName)
	m.To.fields(c)
	c.name(&m.NewName)
	c.u32(&m.Flags)
	c.u64(&m.Moved)
}

func (m *Readlink) fields(c *coder) { m.Ref.fields(c) }
func (m *Target) fields(c *coder)   { c.text(&m.Target, MaxTarget) }

func (m *Readdir) fields(c *coder) {
	m.Ref.fields(c)
	c.u64(&m.Pos)
	c.flag(&m.Attrs)
}

func (e *Entry) fields(c *coder, attrs bool) {
	c.name(&e.Name)
	c.u64(&e.Next)
	full := attrs || e.Attr.Mode&linux.S_IFMT == linux.S_IFDIR
	c.flag(&full)
	if full {
		e.Attr.fields(c)
		c.text(&e.Target, MaxTarget)
		c.bad = c.bad || !attrs && !e.Full()
		return
	}
	c.u64(&e.Attr.Ino)
	c.u32(&e.Attr.Mode)
	if c.decode && (attrs || e.Attr.Mode&^linux.S_IFMT != 0 || !validType(e.Attr.Mode) || e.Attr.Mode == linux.S_IFDIR) {
		c.bad = true
	}
}

// Full says whether an entry of an answer without Attrs has attributes all the same: directories do.
func (e *Entry) Full() bool { return e.Attr.Mode&linux.S_IFMT == linux.S_IFDIR }

// Size is the number of bytes that the entry takes in a frame.
func (e *Entry) Size(attrs bool) int {
	if attrs || e.Full() {
		return 2 + len(e.Name) + 8 + 1 + attrSize + 2 + len(e.Target)
	}
	return 2 + len(e.Name) + 8 + 1 + 8 + 4
}

func (m *Entries) fields(c *coder) {
	c.u64(&m.Handle)
	c.flag(&m.Attrs)
	list(c, &m.Entries, MaxEntries, minEntry, func(c *coder, e *Entry) { e.fields(c, m.Attrs) })
	c.flag(&m.End)
}

func (m *ReadAhead) fields(c *coder) {
	m.Ref.fields(c)
	names(c, &m.Names, MaxNames)
	c.flag(&m.Attrs)
	c.u32(&m.Max)
}

func (m *Lists) fields(c *coder) {
	c.flag(&m.Attrs)
	list(c, &m.Lists, MaxAhead, minSublist, func(c *coder, s *Sublist) { s.fields(c, m.Attrs) })
}

func (s *Sublist) fields(c *coder, attrs bool) {
	c.u32(&s.Parent)
	c.name(&s.Name)
	list(c, &s.Entries, MaxEntries, minEntry, func(c *coder, e *Entry) { e.fields(c, attrs) })
}

const minSublist = 4 + 2 + 1 + 4

// EntriesSize and ListsSize are the number of bytes of a response without its entries and lists.
const (
	EntriesSize = headerSize + 8 + 1 + 4 + 1
	ListsSize   = headerSize + 1 + 4
)

// Size is the number of bytes that the sublist takes without its entries.
func (s *Sublist) Size() int { return minSublist - 1 + len(s.Name) }

func (m *Statfs) fields(c *coder) { m.Ref.fields(c) }

func (m *StatfsResult) fields(c *coder) {
	for _, v := range [...]*int64{&m.Type, &m.Bsize, &m.Frsize, &m.Namelen, &m.Flags} {
		c.i64(v)
	}
	for _, v := range [...]*uint64{&m.Blocks, &m.Bfree, &m.Bavail, &m.Files, &m.Ffree} {
		c.u64(v)
	}
}

// xattrName is "namespace.name": any bytes but NUL, at most 255.
func (c *coder) xattrName(s *string) {
	c.text(s, MaxName)
	c.bad = c.bad || *s == ""
}

func (m *GetXattr) fields(c *coder) {
	m.Ref.fields(c)
	c.xattrName(&m.Name)
}

func (m *Value) fields(c *coder) { c.bytes(&m.Value, MaxXattr) }

func (m *SetXattr) fields(c *coder) {
	m.Ref.fields(c)
	c.xattrName(&m.Name)
	c.bytes(&m.Value, MaxXattr)
	c.u32(&m.Flags)
}

func (m *ListXattr) fields(c *coder) { m.Ref.fields(c) }

func (m *XattrNames) fields(c *coder) {
	list(c, &m.Names, MaxXattr/3, 3, (*coder).xattrName)
}

func (m *RemoveXattr) fields(c *coder) {
	m.Ref.fields(c)
	c.xattrName(&m.Name)
}

func (m *Sync) fields(c *coder) {
	m.Ref.fields(c)
	c.flag(&m.DataOnly)
}

func (m *Close) fields(c *coder) {
	list(c, &m.Handles, MaxHandles, 8, (*coder).u64)
}
