# Threads, queues, a mutex, sleeps and a socket.
require 'socket'
queue = Queue.new
total = 0
lock = Mutex.new
workers = 8.times.map do |i|
  Thread.new do
    while (n = queue.pop) != :end
      sleep 0.001
      lock.synchronize { total += n }
    end
  end
end
1.upto(200) { |n| queue << n }
8.times { queue << :end }
workers.each(&:join)
puts "total #{total}"
server = TCPServer.new('127.0.0.1', 0)
port = server.addr[1]
serving = Thread.new { 4.times { client = server.accept; client.puts client.gets.upcase; client.close } }
answers = 4.times.map { |i| Thread.new { s = TCPSocket.new('127.0.0.1', port); s.puts "word #{i}"; s.gets } }
puts answers.map(&:value)
serving.join
puts `echo from a child`
begin
  Thread.new { Thread.current.report_on_exception = false; raise ArgumentError, 'passed on' }.join
rescue ArgumentError => e
  puts e.message
end
puts Thread.new { Thread.stop; :woken }.tap { |t| Thread.pass until t.stop?; t.run }.value
