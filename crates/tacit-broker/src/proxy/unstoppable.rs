//! What must be finished whoever goes away.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A future that goes on by itself when whoever waited for it has gone.
///
/// Between the moment at which an intent is handed to the record and the one at which its outcome is sure to follow, a
/// request must not be dropped. A task for each request would do that too, at the price of two switches of threads for
/// every request instead of one task for the few whose client hangs up.
pub(super) struct Unstoppable<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Unstoppable<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<T: Send + 'static> Future for Unstoppable<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let polled = future.as_mut().poll(cx);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Unstoppable<T> {
    fn drop(&mut self) {
        if let (Some(future), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Dropped in the middle, it still comes to its end.
    #[tokio::test]
    async fn it_goes_on_without_its_waiter() {
        let (done, is_done) = tokio::sync::oneshot::channel();
        let future = Unstoppable::new(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = done.send(());
        });
        assert!(tokio::time::timeout(Duration::from_millis(1), future).await.is_err());
        is_done.await.unwrap();
    }
}
