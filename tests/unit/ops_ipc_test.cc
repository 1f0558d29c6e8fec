// System V and POSIX IPC, and msync: who need not wait does not switch.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "ops_calls.h"

using namespace ramie;
using namespace ramie::test;

namespace {

constexpr short kNoWait = IPC_NOWAIT;

class OpsIpc : public OpsTest {
 protected:
  void TearDown() override {
    // Whose helper is slow to begin looks after it in between.
    EXPECT_TRUE(least_parks_ > 0 ? parks() - parks_before_ >= least_parks_
                                 : parks() == parks_before_)
        << parks() - parks_before_ << " parks";
  }

  void expect_parks(uint64_t n) { least_parks_ += n; }

 private:
  uint64_t parks_before_ = parks();
  uint64_t least_parks_ = 0;
};

struct Semaphores {
  int id = semget(IPC_PRIVATE, 2, 0600);
  Semaphores() = default;
  Semaphores(const Semaphores&) = delete;
  Semaphores& operator=(const Semaphores&) = delete;
  ~Semaphores() { semctl(id, 0, IPC_RMID); }

  template <size_t kCount>
  long change(std::array<sembuf, kCount> operations) const {
    return call(ops::semop, id, operations.data(), kCount);
  }
  [[nodiscard]] int value(int number) const { return semctl(id, number, GETVAL); }
};

TEST_F(OpsIpc, SemaphoresThatAreFree) {
  Semaphores semaphores;
  EXPECT_EQ(semaphores.change<2>({{{0, 2, 0}, {1, 1, 0}}}), 0);
  EXPECT_EQ(semaphores.change<2>({{{0, -1, 0}, {1, -1, SEM_UNDO}}}), 0);
  EXPECT_EQ(semaphores.value(0), 1);
  EXPECT_EQ(semaphores.value(1), 0);
  EXPECT_EQ(semaphores.change<1>({{{1, 0, 0}}}), 0) << "it is zero";
  EXPECT_EQ(semaphores.change<1>({{{1, -1, kNoWait}}}), -EAGAIN);
}

TEST_F(OpsIpc, SemaphoresThatArentAreWaitedFor) {
  expect_parks(1);
  Semaphores semaphores;
  sembuf take = {0, -1, 0};
  timespec patience = {0, 1'000'000};
  EXPECT_EQ(call(ops::semtimedop, semaphores.id, &take, 1, &patience), -EAGAIN);
}

TEST_F(OpsIpc, SemaphoresRefuseWhatTheKernelDoes) {
  Semaphores semaphores;
  sembuf add = {0, 1, 0};
  timespec senseless = {0, -1};
  sembuf beyond = {7, 1, 0};
  EXPECT_EQ(call(ops::semop, semaphores.id, &beyond, 1), -EFBIG);
  expect_parks(3);
  EXPECT_EQ(call(ops::semop, semaphores.id, &add, 0), -EINVAL);
  EXPECT_EQ(call(ops::semop, semaphores.id, 8, 1), -EFAULT);
  EXPECT_EQ(call(ops::semtimedop, semaphores.id, &add, 1, &senseless), -EINVAL);
  EXPECT_EQ(semaphores.value(0), 0);
}

struct Message {
  long type = 1;
  char text[8] = "text";
};

TEST_F(OpsIpc, MessagesThatAreThere) {
  int queue = msgget(IPC_PRIVATE, 0600);
  Message sent;
  Message taken;
  EXPECT_EQ(call(ops::msgsnd, queue, &sent, sizeof sent.text, 0), 0);
  EXPECT_EQ(call(ops::msgrcv, queue, &taken, sizeof taken.text, 0, 0), 8);
  EXPECT_STREQ(taken.text, "text");
  EXPECT_EQ(call(ops::msgrcv, queue, &taken, sizeof taken.text, 0, IPC_NOWAIT), -ENOMSG);
  msgctl(queue, IPC_RMID, nullptr);
}

TEST_F(OpsIpc, MessagesOfPosixThatAreThere) {
  const std::string name = "/ramie_ops_ipc_" + std::to_string(getpid());
  mq_attr attributes{};
  attributes.mq_maxmsg = 1;
  attributes.mq_msgsize = 16;
  int queue = mq_open(name.c_str(), O_CREAT | O_RDWR, 0600, &attributes);
  ASSERT_GE(queue, 0);
  mq_unlink(name.c_str());
  char text[16] = "text";
  timespec future = {INT32_MAX, 0};
  timespec senseless = {0, -1};
  EXPECT_EQ(call(ops::mq_timedsend, queue, text, 5, 3, &future), 0);
  unsigned priority = 0;
  EXPECT_EQ(call(ops::mq_timedreceive, queue, text, sizeof text, &priority, 0), 5);
  EXPECT_EQ(priority, 3U);
  timespec past = {1, 0};
  expect_parks(2);
  EXPECT_EQ(call(ops::mq_timedreceive, queue, text, sizeof text, &priority, &past), -ETIMEDOUT);
  EXPECT_EQ(call(ops::mq_timedsend, queue, text, 5, 3, &senseless), -EINVAL);
  mq_close(queue);
}

TEST_F(OpsIpc, WhatMsyncNeedNotDo) {
  constexpr size_t kPage = 4096;
  void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT_EQ(call(ops::msync, page, kPage, MS_ASYNC), 0);
  expect_parks(1);
  EXPECT_EQ(call(ops::msync, page, kPage, MS_SYNC), 0);
  munmap(page, kPage);
}

}  // namespace
