//! What is done with one I/O, in which order.
//!
//! Per I/O (what [`observe`] does on the host; the kernel program does the same with `bpf_loop` for the loops):
//! [`begin`]; when it says so [`Sniff::step`] until it is done, and [`classify`]; when they say so [`Walk::step`] until it is done;
//! [`finish`]. For an I/O whose bytes are nowhere to be read: [`unreadable`], then [`finish`].

use super::connection::{OPENED, phase, state};
use super::{Direction, Io, SNIFF_STEPS_MAX, STEPS_MAX, Shared, Sniff, Walk, reason, start};

/// What to do with an I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Skip,
    /// Sniff it, then [`classify`].
    Sniff,
    /// Walk it.
    Walk,
    /// Nothing, but tell once that the connection, or this direction of it, is not looked at any more: [`Walk::rejected`], then [`finish`].
    Tell,
}

/// What to do with an I/O in this direction, by what is known already.
#[inline(always)]
pub fn begin(shared: &Shared, direction: &mut Direction) -> Next {
    if shared.state == state::REJECTED {
        return Next::Skip;
    }
    direction.learn(shared);
    match direction.phase {
        phase::NEW | phase::LOST => Next::Sniff,
        phase::PREFACE | phase::HEAD | phase::BODY => Next::Walk,
        _ => Next::Skip,
    }
}

/// What to do with an I/O in this direction, by what its bytes say.
#[inline(always)]
pub fn classify(shared: &mut Shared, direction: &mut Direction, sniff: &Sniff) -> Next {
    if sniff.unreadable == 0 {
        shared.read = 1;
    }
    let fresh = direction.phase == phase::NEW && shared.state == state::UNKNOWN;
    if fresh && sniff.opens_with_preface() {
        direction.restart(phase::PREFACE, start::PREFACE);
        return Next::Walk;
    }
    if sniff.is_proof() || (sniff.is_tiled() && shared.state != state::UNKNOWN) {
        if !direction.join() {
            return Next::Skip;
        }
        if shared.state == state::UNKNOWN {
            shared.state = state::JOINED;
        }
        shared.strikes = 0;
        return Next::Walk;
    }
    if fresh && sniff.opens_with_settings() {
        direction.restart(phase::HEAD, OPENED);
        return Next::Walk;
    }
    if sniff.is_tiled() {
        shared.strikes = 0;
        return Next::Skip;
    }
    if shared.state == state::UNKNOWN && sniff.opens_with_tls() {
        shared.reject(reason::TLS);
        return Next::Tell;
    }
    if shared.strike(direction) || shared.is_unread() { Next::Tell } else { Next::Skip }
}

/// The whole of it for one I/O of `len` bytes, with plain loops.
pub fn observe<I: Io>(shared: &mut Shared, direction: &mut Direction, len: u32, io: &mut I) {
    let mut next = begin(shared, direction);
    if next == Next::Sniff {
        let mut sniff = Sniff::new(len);
        for _ in 0..SNIFF_STEPS_MAX {
            if !sniff.step(io) {
                break;
            }
        }
        next = classify(shared, direction, &sniff);
    }
    let mut walk = match next {
        Next::Skip | Next::Sniff => return,
        Next::Tell => Walk::rejected(shared),
        Next::Walk => Walk::new(len),
    };
    for _ in 0..STEPS_MAX {
        if !walk.step(shared, direction, io) {
            break;
        }
    }
    finish(&mut walk, shared, direction, io);
}

/// An I/O of `walk.len` bytes that cannot be read from `walk.at` on: passed over where nothing was to be read of it, else the direction is given up.
#[inline(always)]
pub fn unreadable<I: Io>(walk: &mut Walk, shared: &mut Shared, direction: &mut Direction, io: &mut I) {
    if shared.state == state::REJECTED {
        // Or [`finish`] would take it for an I/O whose steps ran out.
        walk.at = walk.len;
        return;
    }
    direction.learn(shared);
    let left = walk.len.wrapping_sub(walk.at);
    if direction.is_skipping() && left <= direction.remaining {
        walk.advance(direction, io, left);
        return;
    }
    match direction.phase {
        phase::NEW | phase::LOST => {
            walk.end = if shared.strike(direction) || shared.is_unread() { reason::UNREADABLE } else { reason::NONE };
        }
        phase::PREFACE | phase::HEAD | phase::BODY => walk.give_up(shared, direction, reason::UNREADABLE),
        _ => {}
    }
}

/// Ends the walk over an I/O: sends what is in the record, and why the direction was given up if it was.
#[inline(always)]
pub fn finish<I: Io>(walk: &mut Walk, shared: &mut Shared, direction: &mut Direction, io: &mut I) {
    // Steps ran out; of a direction that was left or given up nothing remains.
    if walk.at < walk.len && matches!(direction.phase, phase::PREFACE | phase::HEAD | phase::BODY) {
        walk.give_up(shared, direction, reason::FLOOD);
    }
    if walk.pieces != 0 || walk.end != reason::NONE {
        if shared.state == state::REJECTED {
            direction.start = start::NONE;
        }
        walk.flush(direction, io);
    }
}
