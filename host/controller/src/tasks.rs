//! Tasks that run for as long as what they belong to: when one ends by itself, or by a fault, somebody hears of it.

use std::collections::HashMap;

use tokio::task::{Id, JoinError, JoinSet};

/// Tasks with names, for people. They are aborted with the set.
#[derive(Default)]
pub(crate) struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// The name of one that ended, which none should before it is told to. Nothing is lost when this is given up half-way.
    pub(crate) async fn ended(&mut self) -> &'static str {
        match self.running.join_next_with_id().await {
            Some(ended) => self.name(ended),
            None => std::future::pending().await,
        }
    }

    /// Waits until all have ended.
    pub(crate) async fn finish(&mut self) {
        while let Some(ended) = self.running.join_next_with_id().await {
            self.name(ended);
        }
    }

    fn name(&mut self, ended: Result<(Id, ()), JoinError>) -> &'static str {
        let (id, fault) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let name = self.names.remove(&id).unwrap_or("a task");
        if let Some(fault) = fault {
            tracing::error!("{name} failed: {fault}");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn whoever_ends_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("the one that stays", pending());
        tasks.spawn("the one that ends", ready(()));
        assert_eq!(tasks.ended().await, "the one that ends");
        tasks.spawn("the one that fails", async { panic!("on purpose") });
        assert_eq!(tasks.ended().await, "the one that fails");
        assert!(tasks.names.len() == 1, "{:?}", tasks.names);
    }
}
