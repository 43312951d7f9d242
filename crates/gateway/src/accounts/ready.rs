//! The accounts that can serve now, in the order in which they are chosen: the least busy first, and of those the longest
//! unused.
//!
//! Accounts that can serve the same modes form a class, usually one for nearly all. A class has a list per load (requests in
//! flight), and an account is unlinked from one and appended to another when it is taken or given back: the same handful of
//! steps however many accounts there are.

/// Stands for "no account", "no class".
const NONE: u32 = u32::MAX;

/// The lists of all classes.
#[derive(Default)]
pub(super) struct ReadyLists {
    /// By account.
    nodes: Vec<Node>,
    classes: Vec<Class>,
}

#[derive(Clone, Copy)]
struct Node {
    previous: u32,
    next: u32,
    class: u32,
    load: u32,
    /// Order of use: smaller was used longer ago.
    used: u64,
}

impl Node {
    const OUT: Self = Self { previous: NONE, next: NONE, class: NONE, load: 0, used: 0 };
}

/// The accounts that can serve exactly these modes.
struct Class {
    /// One bit per mode.
    modes: u64,
    by_load: Vec<List>,
    /// Below this load all lists are empty.
    lowest: usize,
    /// Accounts in all lists.
    count: usize,
}

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

impl List {
    const EMPTY: Self = Self { first: NONE, last: NONE };
}

impl ReadyLists {
    /// Puts an account where it belongs: it can serve `modes` (none: nowhere), has `load` requests in flight, and was last used at
    /// `used`. An account that is in its place already stays there.
    pub(super) fn put(&mut self, account: u32, modes: u64, load: u32, used: u64) {
        let index = account as usize;
        if index >= self.nodes.len() {
            self.nodes.resize(index + 1, Node::OUT);
        }
        let node = self.nodes[index];
        let class = if modes == 0 { NONE } else { self.class_of(modes) };
        if node.class == class && (class == NONE || (node.load == load && node.used == used)) {
            return;
        }
        self.unlink(account);
        if class != NONE {
            self.link(account, class, load, used);
        }
    }

    /// Forgets an account.
    pub(super) fn remove(&mut self, account: u32) {
        self.unlink(account);
    }

    /// Forgets all, for instance because modes have got another meaning.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.classes.clear();
    }

    /// The first account for `mode` (a bit) that `suits`.
    pub(super) fn first(&mut self, mode: u64, suits: impl Fn(u32) -> bool) -> Option<u32> {
        let mut best: Option<(u32, u64, u32)> = None;
        for class in self.classes.iter_mut().filter(|class| class.modes & mode != 0) {
            while class.by_load.get(class.lowest).is_some_and(|list| list.first == NONE) {
                class.lowest += 1;
            }
            let lists = class.by_load.iter().enumerate().skip(class.lowest);
            let candidate = lists.flat_map(|(_, list)| Walk { nodes: &self.nodes, at: list.first }).find(|a| suits(*a));
            if let Some(account) = candidate {
                let node = &self.nodes[account as usize];
                let candidate = (node.load, node.used, account);
                best = Some(best.map_or(candidate, |best| best.min(candidate)));
            }
        }
        best.map(|(_, _, account)| account)
    }

    /// Accounts for `mode` (a bit).
    pub(super) fn count(&self, mode: u64) -> usize {
        self.classes.iter().filter(|class| class.modes & mode != 0).map(|class| class.count).sum()
    }

    fn class_of(&mut self, modes: u64) -> u32 {
        let position = self.classes.iter().position(|class| class.modes == modes).unwrap_or_else(|| {
            self.classes.push(Class { modes, by_load: Vec::new(), lowest: 0, count: 0 });
            self.classes.len() - 1
        });
        u32::try_from(position).expect("fewer classes than accounts")
    }

    fn unlink(&mut self, account: u32) {
        let Some(node) = self.nodes.get_mut(account as usize) else { return };
        let Node { previous, next, class, load, .. } = std::mem::replace(node, Node::OUT);
        if class == NONE {
            return;
        }
        let class = &mut self.classes[class as usize];
        class.count -= 1;
        let list = &mut class.by_load[load as usize];
        match previous {
            NONE => list.first = next,
            previous => self.nodes[previous as usize].next = next,
        }
        match next {
            NONE => list.last = previous,
            next => self.nodes[next as usize].previous = previous,
        }
    }

    /// At the end, unless it has been unused for longer than the last there: whoever comes back from a rest goes to the front.
    fn link(&mut self, account: u32, class: u32, load: u32, used: u64) {
        let Class { by_load, lowest, count, .. } = &mut self.classes[class as usize];
        *count += 1;
        if load as usize >= by_load.len() {
            by_load.resize(load as usize + 1, List::EMPTY);
        }
        *lowest = (*lowest).min(load as usize);
        let list = &mut by_load[load as usize];
        let mut node = Node { previous: NONE, next: NONE, class, load, used };
        if list.last == NONE {
            *list = List { first: account, last: account };
        } else if self.nodes[list.last as usize].used <= used {
            node.previous = std::mem::replace(&mut list.last, account);
            self.nodes[node.previous as usize].next = account;
        } else {
            node.next = std::mem::replace(&mut list.first, account);
            self.nodes[node.next as usize].previous = account;
        }
        self.nodes[account as usize] = node;
    }
}

/// One list from its beginning.
struct Walk<'a> {
    nodes: &'a [Node],
    at: u32,
}

impl Iterator for Walk<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let account = (self.at != NONE).then_some(self.at)?;
        self.at = self.nodes[account as usize].next;
        Some(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: u64 = 1;
    const EXPERT: u64 = 2;

    fn order(lists: &mut ReadyLists, mode: u64) -> Vec<u32> {
        let mut order = Vec::new();
        while let Some(account) = lists.first(mode, |account| !order.contains(&account)) {
            order.push(account);
        }
        order
    }

    #[test]
    fn the_least_busy_come_first_and_then_the_longest_unused() {
        let mut lists = ReadyLists::default();
        for (account, load, used) in [(0, 1, 1), (1, 0, 2), (2, 0, 3), (3, 2, 4)] {
            lists.put(account, FAST | EXPERT, load, used);
        }
        assert_eq!(order(&mut lists, FAST), [1, 2, 0, 3]);
        // Taken and given back: behind the others.
        lists.put(1, FAST | EXPERT, 1, 5);
        lists.put(1, FAST | EXPERT, 0, 6);
        assert_eq!(order(&mut lists, EXPERT), [2, 1, 0, 3]);
    }

    #[test]
    fn classes_are_compared_by_load_and_use() {
        let mut lists = ReadyLists::default();
        lists.put(0, FAST, 0, 1);
        lists.put(1, FAST | EXPERT, 0, 2);
        lists.put(2, EXPERT, 0, 3);
        assert_eq!(order(&mut lists, FAST), [0, 1]);
        assert_eq!(order(&mut lists, EXPERT), [1, 2]);
        assert_eq!((lists.count(FAST), lists.count(FAST | EXPERT)), (2, 3));
        lists.put(0, FAST, 1, 4);
        assert_eq!(order(&mut lists, FAST), [1, 0]);
        lists.put(1, 0, 0, 5);
        assert_eq!((order(&mut lists, FAST), order(&mut lists, EXPERT)), (vec![0], vec![2]));
        lists.remove(2);
        assert!(order(&mut lists, EXPERT).is_empty());
        assert_eq!((lists.count(FAST), lists.count(EXPERT)), (1, 0));
    }

    #[test]
    fn whoever_comes_back_from_a_rest_is_next() {
        let mut lists = ReadyLists::default();
        for account in 0..3 {
            lists.put(account, FAST, 0, u64::from(account) + 10);
        }
        lists.put(1, 0, 0, 11);
        lists.put(1, FAST, 0, 9);
        assert_eq!(order(&mut lists, FAST), [1, 0, 2]);
    }
}
