package signal

// XCR0 is the machine's set of enabled XSAVE components, which frames report in sw_reserved.
func XCR0() uint64
