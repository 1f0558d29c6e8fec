// Built twice for the twin `thread_locals`, once with each model of thread-local storage:
// -ftls-model=initial-exec and -ftls-model=global-dynamic.
static __thread int counter = TWIN_TLS_START;

int* twin_counter(void);

int* twin_counter(void) { return &counter; }
