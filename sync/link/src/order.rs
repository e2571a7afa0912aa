//! Which relay of several: the first that works, and back to the first of all when it does again.

/// So many failures one after another, and the next relay is tried.
const FAILURES: u32 = 2;

/// Where in the list a box stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    relays: usize,
    at: usize,
    failures: u32,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Wait, then try the same relay.
    Wait,
    /// Try the next relay at once.
    Next,
    /// Every relay has failed: wait, then begin at the first.
    WaitAndBegin,
}

impl Order {
    pub(crate) fn new(relays: usize) -> Self {
        Self { relays, at: 0, failures: 0 }
    }

    /// The one to try, or that is talked to.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether an earlier one would be better.
    pub(crate) fn is_second_choice(&self) -> bool {
        self.at > 0
    }

    /// The relay said hello.
    pub(crate) fn worked(&mut self) {
        self.failures = 0;
    }

    /// The first relay answers again.
    pub(crate) fn first_again(&mut self) {
        *self = Self::new(self.relays);
    }

    /// The relay has no time now: perhaps the next one has.
    pub(crate) fn busy(&mut self) -> Then {
        self.failures = 0;
        self.at += 1;
        if self.at < self.relays {
            return Then::Next;
        }
        self.at = 0;
        Then::WaitAndBegin
    }

    /// The relay could not be talked to, or the conversation broke off.
    pub(crate) fn failed(&mut self) -> Then {
        self.failures += 1;
        if self.failures < FAILURES {
            return Then::Wait;
        }
        self.failures = 0;
        self.at += 1;
        if self.at < self.relays {
            return Then::Next;
        }
        self.at = 0;
        Then::WaitAndBegin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_two_failures_the_next_is_tried_and_after_the_last_the_first() {
        let mut order = Order::new(2);
        let steps: Vec<_> = (0..5).map(|_| (order.at(), order.failed())).collect();
        use Then::{Next, Wait, WaitAndBegin};
        assert_eq!(steps, [(0, Wait), (0, Next), (1, Wait), (1, WaitAndBegin), (0, Wait)]);
    }

    #[test]
    fn one_that_works_is_kept_through_a_single_failure() {
        let mut order = Order::new(3);
        order.failed();
        order.failed();
        for _ in 0..3 {
            order.worked();
            assert_eq!(order.failed(), Then::Wait);
            assert_eq!(order.at(), 1);
        }
        assert!(order.is_second_choice());
        order.first_again();
        assert_eq!(order.at(), 0);
        assert!(!order.is_second_choice());
    }

    #[test]
    fn of_busy_relays_each_is_asked_once_before_the_wait() {
        let mut order = Order::new(2);
        assert_eq!((order.busy(), order.at()), (Then::Next, 1));
        assert_eq!((order.busy(), order.at()), (Then::WaitAndBegin, 0));
        assert_eq!(Order::new(1).busy(), Then::WaitAndBegin);
    }

    #[test]
    fn a_single_relay_is_never_left() {
        let mut order = Order::new(1);
        for _ in 0..10 {
            assert_ne!(order.failed(), Then::Next);
            assert_eq!(order.at(), 0);
        }
    }
}
