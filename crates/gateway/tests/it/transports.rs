//! Tests that hold over both transports, from one list each.

tokio::task_local! {
    /// What the running test's upstream is spoken to over.
    static OVER: &'static str;
}

/// The transport of the running test, if it runs once over each.
pub(crate) fn over() -> Option<&'static str> {
    OVER.try_with(|transport| *transport).ok()
}

/// Runs a test over one transport.
pub(crate) async fn run_over(transport: &'static str, test: impl Future<Output = ()>) {
    OVER.scope(transport, test).await;
}

/// Runs each of these tests twice: over REST and over the WebSocket.
macro_rules! over_both_transports {
    ($($test:ident),* $(,)?) => {
        mod over_rest {
            $(
                #[tokio::test]
                async fn $test() {
                    crate::transports::run_over("rest", Box::pin(super::$test())).await;
                }
            )*
        }

        mod over_websocket {
            $(
                #[tokio::test]
                async fn $test() {
                    crate::transports::run_over("websocket", Box::pin(super::$test())).await;
                }
            )*
        }
    };
}

pub(crate) use over_both_transports;
