#include <gtest/gtest.h>

#include <vector>

#include "base/intrusive_list.h"

namespace ramie::base {
namespace {

struct Element : ListLink {
  explicit Element(int the_value) : value(the_value) {}
  int value;
};

std::vector<int> values(const IntrusiveList<Element>& list) {
  std::vector<int> result;
  for (Element* element = list.front(); element != nullptr; element = list.next(element)) {
    result.push_back(element->value);
  }
  return result;
}

TEST(IntrusiveList, ANewOneIsEmpty) {
  IntrusiveList<Element> list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.front(), nullptr);
  EXPECT_EQ(list.pop_front(), nullptr);
}

TEST(IntrusiveList, KeepsOrderAtBothEnds) {
  IntrusiveList<Element> list;
  Element a(1), b(2), c(3);
  list.push_back(&b);
  list.push_back(&c);
  list.push_front(&a);
  EXPECT_EQ(values(list), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_EQ(values(list), (std::vector<int>{2, 3}));
}

TEST(IntrusiveList, RemovesFromAnywhere) {
  IntrusiveList<Element> list;
  Element a(1), b(2), c(3);
  for (Element* element : {&a, &b, &c}) {
    list.push_back(element);
  }
  IntrusiveList<Element>::remove(&b);
  EXPECT_FALSE(b.linked());
  EXPECT_EQ(values(list), (std::vector<int>{1, 3}));
  IntrusiveList<Element>::remove(&a);
  IntrusiveList<Element>::remove(&c);
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, AnElementCanGoToAnotherList) {
  IntrusiveList<Element> from;
  IntrusiveList<Element> to;
  Element a(1), b(2);
  from.push_back(&a);
  to.push_back(&b);
  to.push_back(from.pop_front());
  EXPECT_TRUE(from.empty());
  EXPECT_EQ(values(to), (std::vector<int>{2, 1}));
}

TEST(IntrusiveList, TheElementInHandMayBeRemovedDuringAWalk) {
  IntrusiveList<Element> list;
  Element a(1), b(2), c(3), d(4);
  for (Element* element : {&a, &b, &c, &d}) {
    list.push_back(element);
  }
  for (Element* element = list.front(); element != nullptr;) {
    Element* next = list.next(element);
    if (element->value % 2 == 0) {
      IntrusiveList<Element>::remove(element);
    }
    element = next;
  }
  EXPECT_EQ(values(list), (std::vector<int>{1, 3}));
}

}  // namespace
}  // namespace ramie::base
