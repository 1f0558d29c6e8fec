// A doubly linked list whose links are members of its elements: no allocation, removal in O(1) from
// anywhere.  Not synchronised; the owner of the list says which lock guards it.
#pragma once

#include <cstddef>

namespace ramie::base {

struct ListLink {
  ListLink* next = nullptr;
  ListLink* previous = nullptr;

  [[nodiscard]] bool linked() const { return next != nullptr; }
};

// T derives from ListLink.
template <class T>
class IntrusiveList {
 public:
  constexpr IntrusiveList() = default;
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  // An all-zero list is an empty one, so that tables of lists need no initialisation: the ring is
  // closed at the first use.
  [[nodiscard]] bool empty() const { return head_.next == nullptr || head_.next == &head_; }

  void push_back(T* element) { insert_before(anchor(), element); }
  void push_front(T* element) { insert_before(anchor()->next, element); }

  [[nodiscard]] T* front() const { return empty() ? nullptr : static_cast<T*>(head_.next); }

  // The element behind `element`, or nullptr at the end.
  [[nodiscard]] T* next(T* element) const {
    ListLink* link = static_cast<ListLink*>(element)->next;
    return link == &head_ ? nullptr : static_cast<T*>(link);
  }

  T* pop_front() {
    T* element = front();
    if (element != nullptr) {
      remove(element);
    }
    return element;
  }

  static void remove(T* element) {
    ListLink* link = element;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->next = link->previous = nullptr;
  }

 private:
  ListLink* anchor() {
    if (head_.next == nullptr) {
      head_.next = head_.previous = &head_;
    }
    return &head_;
  }

  static void insert_before(ListLink* position, ListLink* element) {
    element->next = position;
    element->previous = position->previous;
    position->previous->next = element;
    position->previous = element;
  }

  ListLink head_;
};

}  // namespace ramie::base
