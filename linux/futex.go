package linux

// Values of <linux/futex.h>, as amd64 programs see them.
const (
	FUTEX_OP_CMP_EQ               = 0
	FUTEX_OP_SET                  = 0
	FUTEX_WAIT                    = 0
	FUTEX_OP_ADD                  = 1
	FUTEX_OP_CMP_NE               = 1
	FUTEX_WAKE                    = 1
	FUTEX_32                      = 2
	FUTEX_FD                      = 2
	FUTEX_OP_CMP_LT               = 2
	FUTEX_OP_OR                   = 2
	FUTEX_OP_ANDN                 = 3
	FUTEX_OP_CMP_LE               = 3
	FUTEX_REQUEUE                 = 3
	FUTEX_CMP_REQUEUE             = 4
	FUTEX_OP_CMP_GT               = 4
	FUTEX_OP_XOR                  = 4
	FUTEX_OP_CMP_GE               = 5
	FUTEX_WAKE_OP                 = 5
	FUTEX_LOCK_PI                 = 6
	FUTEX_UNLOCK_PI               = 7
	FUTEX_OP_OPARG_SHIFT          = 8
	FUTEX_TRYLOCK_PI              = 8
	FUTEX_WAIT_BITSET             = 9
	FUTEX_WAKE_BITSET             = 0xa
	FUTEX_WAIT_REQUEUE_PI         = 0xb
	FUTEX_CMP_REQUEUE_PI          = 0xc
	FUTEX_LOCK_PI2                = 0xd
	FUTEX_PRIVATE_FLAG            = 0x80
	FUTEX_WAITV_MAX               = 0x80
	FUTEX_WAIT_PRIVATE            = 0x80
	FUTEX_WAKE_PRIVATE            = 0x81
	FUTEX_REQUEUE_PRIVATE         = 0x83
	FUTEX_CMP_REQUEUE_PRIVATE     = 0x84
	FUTEX_WAKE_OP_PRIVATE         = 0x85
	FUTEX_LOCK_PI_PRIVATE         = 0x86
	FUTEX_UNLOCK_PI_PRIVATE       = 0x87
	FUTEX_TRYLOCK_PI_PRIVATE      = 0x88
	FUTEX_WAIT_BITSET_PRIVATE     = 0x89
	FUTEX_WAKE_BITSET_PRIVATE     = 0x8a
	FUTEX_WAIT_REQUEUE_PI_PRIVATE = 0x8b
	FUTEX_CMP_REQUEUE_PI_PRIVATE  = 0x8c
	FUTEX_LOCK_PI2_PRIVATE        = 0x8d
	FUTEX_CLOCK_REALTIME          = 0x100
	FUTEX_TID_MASK                = 0x3fffffff
	FUTEX_OWNER_DIED              = 0x40000000
	FUTEX_WAITERS                 = 0x80000000
	FUTEX_BITSET_MATCH_ANY        = 0xffffffff
	FUTEX_CMD_MASK                = -385
)
