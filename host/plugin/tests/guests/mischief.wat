;; A filter whose behaviour is written in the events: the first letter of `message` says what it does wrong. An event
;; that begins with `d` is dropped for the reason `noisy`, every other is kept. `init` obeys the first letter inside the
;; quotes of its configuration in the same way.
(module
  (import "tamis:plugin/batch@0.1.0" "len" (func $len (result i32)))
  (import "tamis:plugin/batch@0.1.0" "strings" (func $strings (param i32 i32 i32)))
  (import "tamis:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "message")
  (data (i32.const 32) "noisy")
  (data (i32.const 48) "user.email")
  (data (i32.const 64) "a..b")
  (data (i32.const 80) "\ff\fe")
  (data (i32.const 96) "all is lost")
  (data (i32.const 112) "not with me")
  (global $next (mut i32) (i32.const 65536))

  (func $alloc (param $size i32) (result i32) (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (block $enough (loop $more
      (br_if $enough (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
      (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
      (br $more)))
    (local.get $at))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $alloc (local.get 3)))

  (func $recurse (param i32) (result i32)
    (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (local.get 0)))
  (func $endless (loop $again (br $again)))
  (func $devour (loop $again (drop (call $alloc (i32.const 1048576))) (br $again)))
  (func $ask (param $times i32)
    (loop $again
      (call $strings (i32.const 16) (i32.const 7) (i32.const 512))
      (global.set $next (i32.const 65536))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
  (func $chatter (param $times i32)
    (loop $again
      (call $log (i32.const 2) (i32.const 96) (i32.const 11))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))

  ;; What one letter makes of the guest, wherever it stands.
  (func $obey (param $letter i32)
    (if (i32.eq (local.get $letter) (i32.const 0x74)) (then ;; t
      (call $log (i32.const 1) (i32.const 96) (i32.const 11)) unreachable))
    (if (i32.eq (local.get $letter) (i32.const 0x6c)) (then (call $endless))) ;; l
    (if (i32.eq (local.get $letter) (i32.const 0x6d)) (then (call $devour))) ;; m
    (if (i32.eq (local.get $letter) (i32.const 0x6b)) (then (drop (call $recurse (i32.const 0))))) ;; k
    (if (i32.eq (local.get $letter) (i32.const 0x67)) (then (call $chatter (i32.const 10000))))) ;; g

  (func (export "tamis:plugin/filtering@0.1.0#init") (param $config i32) (param $size i32) (result i32)
    (local $letter i32)
    (global.set $next (i32.const 65536))
    (i64.store (i32.const 256) (i64.const 0))
    (if (i32.gt_u (local.get $size) (i32.const 2)) (then
      (local.set $letter (i32.load8_u offset=1 (local.get $config)))
      (call $obey (local.get $letter))
      (if (i32.eq (local.get $letter) (i32.const 0x65)) (then ;; e
        (i32.store (i32.const 256) (i32.const 1))
        (i32.store (i32.const 260) (i32.const 112))
        (i32.store (i32.const 264) (i32.const 11))))))
    (i32.const 256))

  (func (export "tamis:plugin/filtering@0.1.0#filter") (result i32)
    (local $n i32) (local $i i32) (local $verdicts i32) (local $count i32) (local $at i32) (local $letter i32)
    (global.set $next (i32.const 65536))
    (local.set $n (call $len))
    (local.set $count (local.get $n))
    (call $strings (i32.const 16) (i32.const 7) (i32.const 512))
    (local.set $verdicts (call $alloc (i32.mul (local.get $n) (i32.const 4))))
    (memory.fill (local.get $verdicts) (i32.const 0) (i32.mul (local.get $n) (i32.const 4)))
    (i32.store (i32.const 300) (i32.const 32))
    (i32.store (i32.const 304) (i32.const 5))
    (block $done (loop $each
      (br_if $done (i32.eq (local.get $i) (local.get $n)))
      (if (i32.load8_u (i32.add (i32.load (i32.const 512)) (local.get $i))) (then
        (local.set $at (i32.add (local.get $verdicts) (i32.mul (local.get $i) (i32.const 4))))
        (local.set $letter (i32.load8_u (i32.add (i32.load (i32.const 528))
          (i32.load (i32.add (i32.load (i32.const 520)) (i32.mul (local.get $i) (i32.const 4)))))))
        (call $obey (local.get $letter))
        (if (i32.eq (local.get $letter) (i32.const 0x64)) (then (i32.store (local.get $at) (i32.const 1)))) ;; d
        (if (i32.eq (local.get $letter) (i32.const 0x69)) (then (i32.store (local.get $at) (i32.const 99)))) ;; i
        (if (i32.eq (local.get $letter) (i32.const 0x77)) (then ;; w
          (local.set $count (i32.add (local.get $count) (i32.const 1)))))
        (if (i32.eq (local.get $letter) (i32.const 0x75)) (then ;; u
          (i32.store (i32.const 300) (i32.const 80)) (i32.store (i32.const 304) (i32.const 2))))
        (if (i32.eq (local.get $letter) (i32.const 0x68)) (then ;; h
          (drop (memory.grow (i32.const 1500))) (local.set $count (i32.const 20000000))))
        (if (i32.eq (local.get $letter) (i32.const 0x6f)) (then (local.set $verdicts (i32.const -16)))) ;; o
        (if (i32.eq (local.get $letter) (i32.const 0x71)) (then ;; q
          (call $strings (i32.const 64) (i32.const 4) (i32.const 544))))
        (if (i32.eq (local.get $letter) (i32.const 0x72)) (then ;; r
          (call $strings (i32.const 48) (i32.const 10) (i32.const 544))))
        (if (i32.eq (local.get $letter) (i32.const 0x61)) (then ;; a
          (call $ask (i32.const 200000))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each)))
    (i32.store (i32.const 256) (local.get $verdicts))
    (i32.store (i32.const 260) (local.get $count))
    (i32.store (i32.const 264) (i32.const 300))
    (i32.store (i32.const 268) (i32.const 1))
    (i32.const 256))
)
