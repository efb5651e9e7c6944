//! Values by key, and which of them was not used for the longest time.

use std::collections::HashMap;

/// No place.
const NONE: u32 = u32::MAX;

/// The values; each operation but the walks takes constant time.
#[derive(Debug)]
pub(super) struct Lru<T> {
    by_key: HashMap<u64, u32>,
    nodes: Vec<Node<T>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
struct Node<T> {
    key: u64,
    older: u32,
    newer: u32,
    value: Option<T>,
}

// === impl Lru ===

impl<T> Lru<T> {
    pub(super) fn new() -> Self {
        Self { by_key: HashMap::new(), nodes: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The value under `key`, which is the newest now.
    pub(super) fn touch(&mut self, key: u64) -> Option<&mut T> {
        let at = *self.by_key.get(&key)?;
        if at != self.newest {
            self.unlink(at);
            self.link(at);
        }
        self.nodes[at as usize].value.as_mut()
    }

    /// The value under `key`, which does not get newer by that.
    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let at = *self.by_key.get(&key)?;
        self.nodes[at as usize].value.as_mut()
    }

    /// Takes in a value under a key that has none, as the newest.
    pub(super) fn insert(&mut self, key: u64, value: T) -> &mut T {
        let node = Node { key, older: NONE, newer: NONE, value: Some(value) };
        let at = if let Some(at) = self.free.pop() {
            self.nodes[at as usize] = node;
            at
        } else {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).expect("bounded by the tracker's limits, far below 2^32")
        };
        self.link(at);
        self.by_key.insert(key, at);
        self.nodes[at as usize].value.as_mut().expect("it was put there just now")
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<T> {
        let at = self.by_key.remove(&key)?;
        self.unlink(at);
        self.free.push(at);
        self.nodes[at as usize].value.take()
    }

    /// The key that was not used for the longest time.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.nodes.get(self.oldest as usize).map(|node| node.key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.nodes.iter().filter_map(|node| Some((node.key, node.value.as_ref()?)))
    }

    /// The values, the one that was used last first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &T> {
        let node = |at: u32| self.nodes.get(at as usize);
        let nodes = std::iter::successors(node(self.newest), move |before| node(before.older));
        nodes.filter_map(|node| node.value.as_ref())
    }

    fn unlink(&mut self, at: u32) {
        let Node { older, newer, .. } = self.nodes[at as usize];
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
    }

    fn link(&mut self, at: u32) {
        let older = std::mem::replace(&mut self.newest, at);
        let node = &mut self.nodes[at as usize];
        (node.older, node.newer) = (older, NONE);
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = at,
            None => self.oldest = at,
        }
    }
}
