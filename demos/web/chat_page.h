// The chats' page for the browser: the same for all, with a script that knows how to reach the
// server.
#pragma once

#include <string>
#include <string_view>

namespace web {

inline constexpr std::string_view kChatHead = R"html(<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Ramie chat</title>
<style>
  body { font: 16px/1.5 sans-serif; max-width: 36em; margin: 1em auto; padding: 0 1em; color: #222 }
  #lines { border: 1px solid #bbb; border-radius: 6px; height: 14em; overflow-y: auto;
           padding: .5em .8em; background: #fafafa }
  #lines .event { color: #777; font-style: italic }
  form { display: flex; gap: .5em; margin: .6em 0 }
  form[hidden] { display: none }
  input { flex: 1; font: inherit; padding: .3em .5em }
  button { font: inherit; padding: .3em 1em }
  #state { color: #777 }
</style>
<h1>Ramie chat</h1>
<div id="lines" aria-live="polite"></div>
<form id="enter"><input id="name" placeholder="Your name" required autofocus><button>Enter</button></form>
<form id="talk" hidden><input id="text" placeholder="Say something" autocomplete="off"><button>Send</button></form>
<p id="state">Not connected.</p>
<script>
  const $ = id => document.getElementById(id);
  function show(line) {
    const row = document.createElement('div');
    row.textContent = line;   // never as HTML: others have written it
    if (line.startsWith('* ')) row.className = 'event';
    $('lines').append(row);
    $('lines').scrollTop = $('lines').scrollHeight;
  }
  function connected(name) {
    $('state').textContent = 'Connected as ' + name + '.';
    $('enter').hidden = true;
    $('talk').hidden = false;
    $('text').focus();
  }
  function gone() { $('state').textContent = 'The connection is closed.'; $('talk').hidden = true; }
  // start(name) connects; say(text) sends, once that is done.
  let say;
  $('enter').onsubmit = () => { start($('name').value.trim()); return false; };
  $('talk').onsubmit = () => {
    if ($('text').value) say($('text').value);
    $('text').value = '';
    return false;
  };
)html";

inline constexpr std::string_view kWebSocketScript = R"js(
  function start(name) {
    const socket = new WebSocket(`ws://${location.host}/chat`);
    socket.onopen = () => { socket.send(name); connected(name); };
    socket.onmessage = message => show(message.data);
    socket.onclose = gone;
    say = text => socket.send(text);
  }
</script>
)js";

inline constexpr std::string_view kLongPollScript = R"js(
  async function start(name) {
    say = text => fetch('/say', {method: 'POST', body: name + ': ' + text});
    let seen = 0;
    connected(name);
    try {
      for (;;) {
        const answer = await fetch('/wait?after=' + seen);
        const lines = (await answer.text()).split('\n');
        seen = Number(lines.shift());
        lines.filter(Boolean).forEach(show);
      }
    } catch { gone(); }
  }
</script>
)js";

inline std::string chat_page(std::string_view script) {
  return std::string(kChatHead).append(script);
}

}  // namespace web
