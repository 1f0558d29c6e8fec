#include "event/kept_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "event/reactor.h"
#include "support/descriptor_pair.h"
#include "support/fiber_group.h"

using ramie::base::Deadline;
using ramie::event::discard;
using ramie::event::drop_kept;
using ramie::event::end_use;
using ramie::event::FileUse;
using ramie::event::forget;
using ramie::event::forget_again;
using ramie::event::forget_but_keep;
using ramie::event::is_ours;
using ramie::event::kept_number;
using ramie::event::wait_fd;
using Pair = ramie::test::DescriptorPair;
using ramie::test::FiberGroup;
using ramie::test::in_millis;

namespace {

TEST(KeptFiles, CallsInProgressKeepTheirFile) {
  Pair pipe = Pair::pipe();
  FiberGroup fibers;
  const int number = pipe.a;
  int ended = 0;
  int last = -1;
  for (int i = 0; i < 3; ++i) {
    fibers.spawn([&] {
      FileUse use;
      EXPECT_EQ(wait_fd(number, POLLIN, Deadline::never(), &use), -EBADF);
      EXPECT_EQ(wait_fd(number, POLLIN, Deadline::never(), &use), -EBADF);
      EXPECT_FALSE(end_use(number, use));
      const int kept = kept_number(number, use);
      EXPECT_TRUE(is_ours(kept));
      EXPECT_EQ(wait_fd(kept, POLLIN, Deadline::never()), 0);
      char got = 0;
      EXPECT_EQ(read(kept, &got, 1), 1);
      const int given_up = drop_kept(number, use);
      EXPECT_EQ(given_up >= 0, ++ended == 3) << "by the last one, once";
      last = given_up;
    });
  }
  fibers.spawn([&] {
    forget_but_keep(number);
    ::close(number);
    forget_again(number);
    EXPECT_EQ(write(pipe.b, "xyz", 3), 3);
  });
  fibers.join();
  EXPECT_TRUE(is_ours(last));
  forget(last);
  discard(last);
  ::close(pipe.b);
}

TEST(KeptFiles, AUseThatEndsBeforeTheCloseKeepsNothing) {
  Pair pipe = Pair::pipe();
  FiberGroup fibers;
  fibers.spawn([&] {
    FileUse use;
    EXPECT_EQ(wait_fd(pipe.a, POLLIN, in_millis(0), &use), -ETIMEDOUT);
    EXPECT_TRUE(end_use(pipe.a, use));
    forget_but_keep(pipe.a);
    EXPECT_EQ(kept_number(pipe.a, use), -1);
  });
  fibers.join();
  pipe.close();
}

}  // namespace
