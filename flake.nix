{
  description = "An eBPF and Kubernetes workshop: runs and checks its six labs on a real cluster";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
    rust-overlay.url = "github:oxalica/rust-overlay";
    rust-overlay.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      rust-overlay,
    }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      overlays = [ rust-overlay.overlays.default ];
      forEachSystem =
        output: lib.genAttrs systems (system: output (import nixpkgs { inherit system overlays; }));

      toolchain = pkgs: pkgs.rust-bin.fromRustupToolchainFile ./rust-toolchain.toml;

      # nixpkgs wraps clang to harden what it compiles. For the BPF target that is an error ("unsupported option
      # '-fzero-call-used-regs=used-gpr'", https://github.com/NixOS/nixpkgs/issues/325587), so probes get the
      # compiler itself; host programs keep their hardening. Our headers need neither the kernel's nor libc's.
      bpfClang = pkgs: "${pkgs.llvmPackages.clang-unwrapped}/bin/clang";

      workspace =
        pkgs:
        import ./nix/workspace.nix {
          inherit pkgs;
          toolchain = toolchain pkgs;
          bpfClang = bpfClang pkgs;
          checkout = self;
        };

      shell =
        pkgs:
        import ./nix/shell.nix {
          inherit pkgs;
          toolchain = toolchain pkgs;
          bpfClang = bpfClang pkgs;
        };

      # xtask in the dev shell, in the checkout that this is typed in. Programs are built there, not in the store: labs
      # need root, the network and the running kernel, which Nix's sandbox has not.
      xtask = pkgs: command: {
        type = "app";
        meta.description = "${command}, in the dev shell";
        program = "${pkgs.writeShellScript "xtask" ''
          exec nix --extra-experimental-features 'nix-command flakes' develop ${self} \
            --command ${command} "$@"
        ''}";
      };
    in
    {
      # `nix develop`
      devShells = forEachSystem (pkgs: {
        default = (shell pkgs).shell;
      });

      # `nix build .#bee`
      packages = forEachSystem (pkgs: (workspace pkgs).packages);

      # `nix run .#lab -- all`, `nix run . -- doctor`
      apps = forEachSystem (pkgs: {
        default = xtask pkgs "cargo xtask";
        lab = xtask pkgs "cargo xtask lab";
      });

      # `nix flake check`
      checks = forEachSystem (pkgs: (workspace pkgs).checks // (shell pkgs).checks);

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
