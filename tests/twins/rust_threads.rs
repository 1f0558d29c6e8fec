//! Rust's own threads, which call futex(2) by syscall() and need nothing of glibc's locks.
//! The same table of cases as the twins in C: `--list`, a name, or nothing for all.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::{Duration, Instant};

fn nap(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

struct CountsDrops(Arc<AtomicUsize>);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        nap(1);
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(7) };
    static NAMES: RefCell<Vec<String>> = RefCell::new(vec!["first".to_string()]);
    static GUARD: RefCell<Option<CountsDrops>> = const { RefCell::new(None) };
}

fn thread_locals() {
    let drops = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let drops = drops.clone();
            thread::spawn(move || {
                GUARD.with(|guard| *guard.borrow_mut() = Some(CountsDrops(drops)));
                for round in 0..5 {
                    NUMBER.with(|number| number.set(number.get() + i));
                    NAMES.with(|names| names.borrow_mut().push(format!("{i}-{round}")));
                    nap(1);
                }
                NAMES.with(|names| names.borrow().join(" ")) + &format!(": {}", NUMBER.with(Cell::get))
            })
        })
        .collect();
    for thread in threads {
        println!("{}", thread.join().unwrap());
    }
    println!(
        "drops {}, main's {}",
        drops.load(Ordering::SeqCst),
        NUMBER.with(Cell::get)
    );
}

fn mutex_and_condvar() {
    let turn = Arc::new((Mutex::new(0usize), Condvar::new()));
    let threads: Vec<_> = (0..6)
        .map(|i| {
            let turn = turn.clone();
            thread::spawn(move || {
                for _ in 0..10 {
                    let guard = turn.0.lock().unwrap();
                    let mut guard = turn.1.wait_while(guard, |turn| *turn % 6 != i).unwrap();
                    *guard += 1;
                    turn.1.notify_all();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let guard = turn.0.lock().unwrap();
    let before = Instant::now();
    let (guard, result) = turn
        .1
        .wait_timeout_while(guard, Duration::from_millis(15), |_| true)
        .unwrap();
    assert!(before.elapsed() >= Duration::from_millis(15));
    println!("turn {}, timed out {}", *guard, result.timed_out());
}

fn rwlock_and_barrier() {
    let value = Arc::new(RwLock::new(0));
    let barrier = Arc::new(Barrier::new(8));
    let leaders = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let (value, barrier, leaders) = (value.clone(), barrier.clone(), leaders.clone());
            thread::spawn(move || {
                for _ in 0..5 {
                    if barrier.wait().is_leader() {
                        leaders.fetch_add(1, Ordering::SeqCst);
                    }
                    if i % 2 == 0 {
                        let mut guard = value.write().unwrap();
                        let before = *guard;
                        nap(1);
                        *guard = before + 1;
                    } else {
                        let guard = value.read().unwrap();
                        let before = *guard;
                        nap(1);
                        assert_eq!(before, *guard);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    println!(
        "value {}, leaders {}",
        value.read().unwrap(),
        leaders.load(Ordering::SeqCst)
    );
}

fn park_and_unpark() {
    let ready = Arc::new(AtomicBool::new(false));
    let seen = ready.clone();
    let parked = thread::spawn(move || {
        while !seen.load(Ordering::SeqCst) {
            thread::park();
        }
        let before = Instant::now();
        thread::park_timeout(Duration::from_millis(10));
        // The permit of a second unpark may have ended it at once; one without is timed.
        thread::park_timeout(Duration::from_millis(10));
        assert!(before.elapsed() >= Duration::from_millis(9));
        "unparked"
    });
    nap(5);
    ready.store(true, Ordering::SeqCst);
    parked.thread().unpark();
    println!("{}", parked.join().unwrap());
}

fn channels() {
    let (sender, receiver) = mpsc::channel();
    let senders: Vec<_> = (0..5)
        .map(|i| {
            let sender = sender.clone();
            thread::spawn(move || {
                for number in 0..20 {
                    sender.send(i * 100 + number).unwrap();
                    if number % 7 == 0 {
                        nap(1);
                    }
                }
            })
        })
        .collect();
    drop(sender);
    let mut all: Vec<i32> = receiver.iter().collect();
    all.sort_unstable();
    for sender in senders {
        sender.join().unwrap();
    }
    println!("received {}, sum {}", all.len(), all.iter().sum::<i32>());
    let (sender, receiver) = mpsc::sync_channel(0);
    let rendezvous = thread::spawn(move || (0..5).for_each(|i| sender.send(i).unwrap()));
    println!("{:?}", receiver.recv_timeout(Duration::from_secs(20)));
    println!("{:?}", receiver.iter().collect::<Vec<i32>>());
    rendezvous.join().unwrap();
    let (kept, empty) = mpsc::channel::<i32>();
    println!("{:?}", empty.recv_timeout(Duration::from_millis(10)));
    drop(kept);
    println!("{:?}", empty.recv());
}

fn panics_are_caught_by_join() {
    std::panic::set_hook(Box::new(|_| {}));
    let poisoned = Arc::new(Mutex::new(0));
    let threads: Vec<_> = (0..6)
        .map(|i| {
            let poisoned = poisoned.clone();
            thread::spawn(move || {
                nap(1 + i % 3);
                if i == 3 {
                    let _guard = poisoned.lock().unwrap();
                    nap(2);
                    panic!("with the lock");
                }
                if i % 2 == 0 {
                    panic!("thread {i}");
                }
                i
            })
        })
        .collect();
    for thread in threads {
        match thread.join() {
            Ok(number) => println!("returned {number}"),
            Err(error) => match error.downcast::<String>() {
                Ok(text) => println!("panicked: {text}"),
                Err(error) => println!("panicked: {:?}", error.downcast_ref::<&str>()),
            },
        }
    }
    println!("poisoned {}", poisoned.is_poisoned());
    let caught =
        std::panic::catch_unwind(|| thread::scope(|s| s.spawn(|| panic!("inner")).join().is_err()));
    println!("scoped {caught:?}");
}

fn scoped_threads_and_once() {
    let mut numbers = vec![1, 2, 3, 4, 5, 6];
    let once = Once::new();
    let calls = AtomicUsize::new(0);
    let lock: Mutex<Option<String>> = Mutex::new(None);
    thread::scope(|scope| {
        for number in &mut numbers {
            let (once, calls, lock) = (&once, &calls, &lock);
            scope.spawn(move || {
                once.call_once(|| {
                    nap(3);
                    calls.fetch_add(1, Ordering::SeqCst);
                });
                assert_eq!(calls.load(Ordering::SeqCst), 1);
                let mut value = lock.lock().unwrap();
                assert_eq!(
                    value.get_or_insert_with(|| "initialised".to_string()),
                    "initialised"
                );
                *number *= 10;
            });
        }
    });
    println!("{numbers:?} {}", calls.load(Ordering::SeqCst));
}

fn names_and_stacks() {
    let builder = thread::Builder::new()
        .name("named".into())
        .stack_size(128 * 1024);
    let thread = builder.spawn(|| {
        let big = [1u8; 64 * 1024];
        nap(2);
        // Volatile, so that the array has to be on the stack.
        let sum: usize = big
            .iter()
            .map(|byte| unsafe { std::ptr::read_volatile(byte) } as usize)
            .sum();
        format!("{:?} {}", thread::current().name(), sum)
    });
    println!("{}", thread.unwrap().join().unwrap());
}

fn main() {
    let cases: [(&str, fn()); 8] = [
        ("thread_locals", thread_locals),
        ("mutex_and_condvar", mutex_and_condvar),
        ("rwlock_and_barrier", rwlock_and_barrier),
        ("park_and_unpark", park_and_unpark),
        ("channels", channels),
        ("panics_are_caught_by_join", panics_are_caught_by_join),
        ("scoped_threads_and_once", scoped_threads_and_once),
        ("names_and_stacks", names_and_stacks),
    ];
    let wanted = std::env::args().nth(1);
    for (name, run) in cases {
        match wanted.as_deref() {
            Some("--list") => println!("{name} threads"),
            Some(other) if other != name => {}
            _ => run(),
        }
    }
}
