;; Gives the first event of a batch the fingerprints `a1` of the kind `app` and `b2` of the kind `system`, the others none.
(module
  (import "tamis:plugin/batch@0.1.0" "len" (func $len (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "a1b2appsystem")
  (data (i32.const 400) "\00\00\00\00\01\00\00\00") ;; kind
  (data (i32.const 420) "\00\00\00\00\02\00\00\00\04\00\00\00") ;; offsets
  (data (i32.const 440) "\14\00\00\00\03\00\00\00\17\00\00\00\06\00\00\00") ;; kinds
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
  (func (export "tamis:plugin/fingerprinting@0.1.0#init") (param i32 i32) (result i32) (i32.const 128))
  (func (export "tamis:plugin/fingerprinting@0.1.0#fingerprint") (result i32)
    (memory.fill (i32.const 1024) (i32.const 0) (i32.mul (call $len) (i32.const 4)))
    (i32.store (i32.const 1024) (i32.const 2))
    (i32.store (i32.const 256) (i32.const 1024)) (i32.store (i32.const 260) (call $len))
    (i32.store (i32.const 264) (i32.const 400)) (i32.store (i32.const 268) (i32.const 2))
    (i32.store (i32.const 272) (i32.const 420)) (i32.store (i32.const 276) (i32.const 3))
    (i32.store (i32.const 280) (i32.const 16)) (i32.store (i32.const 284) (i32.const 4))
    (i32.store (i32.const 288) (i32.const 440)) (i32.store (i32.const 292) (i32.const 2))
    (i32.const 256))
)
