//! Where key bytes live: slots of a static array whose pages are locked in
//! memory and left out of dumps, where the system allows it.
//!
//! `mlock` works on pages, so locking each key where the allocator happened to
//! put it would either lock a page per key or unlock a neighbour's page with
//! the first key dropped. One array, locked once and never unlocked, has
//! neither problem and costs no system call per key. Slots are atomics: shared,
//! mutable memory without a raw pointer. When all are taken, a key lives on the
//! ordinary heap; it is wiped all the same.

use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};
use std::sync::{Mutex, OnceLock, PoisonError};
use zeroize::Zeroizing;

/// 2,048 keys of 32 bytes are 64 KiB, what even old kernels let an ordinary
/// process lock.
const SLOTS: usize = 2048;

type Words = [AtomicU64; 4];

/// Page-aligned, so that the lock covers its pages and nobody else's.
#[repr(align(4096))]
struct Pool([Words; SLOTS]);

static POOL: Pool = Pool([const { [const { AtomicU64::new(0) }; 4] }; SLOTS]);
static FREE: Mutex<FreeSlots> = Mutex::new(FreeSlots { untouched_from: 0, returned: Vec::new() });
static LOCKED: OnceLock<bool> = OnceLock::new();

struct FreeSlots {
    untouched_from: usize,
    returned: Vec<usize>,
}

/// 32 bytes in a slot, wiped when dropped.
pub(crate) struct LockedBytes(Slot);

enum Slot {
    Pooled(usize),
    Heap(Box<Words>),
}

impl LockedBytes {
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        lock_key_memory();
        let slot = take_slot().map_or_else(|| Slot::Heap(Box::default()), Slot::Pooled);
        let locked = Self(slot);
        for (word, chunk) in locked.words().iter().zip(bytes.as_chunks::<8>().0) {
            word.store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
        }
        locked
    }

    /// A copy for the length of one derivation.
    pub(crate) fn load(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        for (word, chunk) in self.words().iter().zip(bytes.as_chunks_mut::<8>().0) {
            *chunk = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        bytes
    }

    fn words(&self) -> &Words {
        match &self.0 {
            Slot::Pooled(index) => &POOL.0[*index],
            Slot::Heap(words) => words,
        }
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        for word in self.words() {
            word.store(0, Ordering::SeqCst);
        }
        // Keeps the stores before the release of the memory.
        compiler_fence(Ordering::SeqCst);
        if let Slot::Pooled(index) = self.0 {
            free_slots().returned.push(index);
        }
    }
}

fn take_slot() -> Option<usize> {
    let mut free = free_slots();
    if let Some(index) = free.returned.pop() {
        return Some(index);
    }
    let index = free.untouched_from;
    (index < SLOTS).then(|| {
        free.untouched_from += 1;
        index
    })
}

fn free_slots() -> std::sync::MutexGuard<'static, FreeSlots> {
    // No code that could panic runs under this lock, and a list of free slots
    // is whole after every single step.
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks the key memory at the first call. True if it is locked; refusal
/// (`RLIMIT_MEMLOCK`, containers) is no error.
pub(crate) fn lock_key_memory() -> bool {
    *LOCKED.get_or_init(lock_pool)
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn lock_pool() -> bool {
    use rustix::mm::{Advice, madvise, mlock};
    let start = (&raw const POOL).cast_mut().cast();
    let bytes = size_of::<Pool>();
    // SAFETY: the range is exactly `POOL`, a static: mapped for as long as the
    // process lives, aligned to 4,096 bytes and a multiple of that long. `mlock`
    // keeps its pages resident and `MADV_DONTDUMP` leaves them out of dumps;
    // neither reads or changes their contents, nor how they may be accessed, so
    // no reference to the atomics in them is affected. On larger pages `mlock`
    // also locks neighbours, which is harmless, and `madvise` may refuse.
    unsafe {
        let locked = mlock(start, bytes).is_ok();
        let _ = madvise(start, bytes, Advice::LinuxDontDump);
        locked
    }
}

#[cfg(not(target_os = "linux"))]
fn lock_pool() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_order() {
        let bytes: [u8; 32] = std::array::from_fn(|n| n as u8);
        assert_eq!(*LockedBytes::new(&bytes).load(), bytes);
    }

    /// More keys than slots work too, and a slot never serves two keys at once.
    #[test]
    fn every_key_has_its_own_place_even_when_the_pool_is_full() {
        let numbered = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            bytes
        };
        let count = u32::try_from(SLOTS).unwrap() + 100;
        let keys: Vec<_> = (0..count).map(|n| LockedBytes::new(&numbered(n))).collect();
        assert!(keys.iter().any(|key| matches!(key.0, Slot::Heap(_))));
        for (n, key) in (0..count).zip(&keys) {
            assert_eq!(*key.load(), numbered(n));
        }
    }

    #[test]
    fn dropping_wipes_the_slot() {
        // Another thread's key may take the slot at once, so the check is that
        // the bytes are gone, not that the slot is empty.
        let locked = LockedBytes::new(&[0xA5; 32]);
        let Slot::Pooled(index) = locked.0 else { return };
        drop(locked);
        let first = POOL.0[index][0].load(Ordering::SeqCst);
        assert_ne!(first, u64::from_ne_bytes([0xA5; 8]));
    }
}
