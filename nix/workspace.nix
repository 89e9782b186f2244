# The workspace as Nix builds it: its programs, and the checks that need neither root nor the network.
{
  pkgs,
  # The pinned Rust.
  toolchain,
  # A clang that compiles probes.
  bpfClang,
  # The whole checkout, for what looks at more than what is compiled.
  checkout,
}:
let
  inherit (pkgs) lib;

  rust = pkgs.makeRustPlatform {
    cargo = toolchain;
    rustc = toolchain;
  };

  # Something that cargo makes of the workspace, with more tools than every such thing needs.
  build =
    tools: attributes:
    rust.buildRustPackage (
      {
        inherit ((builtins.fromTOML (builtins.readFile ../Cargo.toml)).workspace.package) version;
        # All that is compiled, in whatever language (a filter for Rust would lose probes, headers and pages), and what `tidy` reads.
        src = lib.fileset.toSource {
          root = ../.;
          fileset = lib.fileset.unions [
            ../.github
            ../CHANGELOG.md
            ../Cargo.lock
            ../Cargo.toml
            ../README.md
            ../crates
            ../docs
            ../kubernetes
            ../manifests
            ../probes
            ../tests
            ../xtask
          ];
        };
        cargoLock.lockFile = ../Cargo.lock;
        nativeBuildInputs = [
          pkgs.nodejs
          pkgs.pkg-config
          pkgs.importNpmLock.npmConfigHook
        ]
        ++ tools;
        # What libbpf is built with. nixpkgs' `libelf` is another, older library.
        buildInputs = [
          pkgs.elfutils
          pkgs.zlib
        ];
        npmRoot = "crates/kebpf/web";
        npmDeps = npmPackages ../crates/kebpf/web;
        # kebpf's build script sees by this file that npm has nothing left to fetch.
        preBuild = ''
          cp $npmRoot/package-lock.json $npmRoot/node_modules/.installed-lock.json
        '';
        # Tests are a check of their own.
        doCheck = false;
        # Would put a cargo in front of ours that runs `cargo auditable`, also for clippy and fmt.
        auditable = false;
      }
      // attributes
    );

  # What a page is made of. Its package-lock.json says no addresses, so that any registry will do, and has esbuild and
  # TypeScript for every system there is. importNpmLock wants addresses; only what is for this system is fetched.
  npmPackages =
    web:
    let
      inherit (pkgs.stdenv.hostPlatform.node) arch platform;
      lock = lib.importJSON (web + "/package-lock.json");
      ours =
        module:
        builtins.elem platform (module.os or [ platform ])
        && builtins.elem arch (module.cpu or [ arch ]);
      addressed =
        path: module:
        let
          name = lib.last (lib.splitString "node_modules/" path);
          file = "${baseNameOf name}-${module.version}.tgz";
        in
        # The one without a name is the page itself.
        if name == "" then
          module
        else
          module // { resolved = "https://registry.npmjs.org/${name}/-/${file}"; };
    in
    pkgs.importNpmLock {
      package = lib.importJSON (web + "/package.json");
      packageLock = lock // {
        packages = lib.mapAttrs addressed (lib.filterAttrs (_: ours) lock.packages);
      };
    };

  program =
    name: tools: attributes:
    build tools (
      {
        pname = name;
        cargoBuildFlags = [
          "--bin"
          name
        ];
        meta.mainProgram = name;
      }
      // attributes
    );

  # A command that must succeed in the checkout; nothing comes of it.
  check =
    name: tools: command:
    build tools {
      pname = "check-${name}";
      src = checkout;
      buildPhase = ''
        runHook preBuild
        ${command}
      '';
      installPhase = "touch $out";
    };
in
rec {
  packages = {
    bee = program "bee" [ pkgs.makeBinaryWrapper ] {
      postInstall = "wrapProgram $out/bin/bee --set-default BPF_CLANG ${bpfClang}";
    };
    bookinfo = program "bookinfo" [ ] { };
    kebpf = program "kebpf" [ ] { };
    lab = program "lab" [ ] { };
  };

  checks = {
    format = check "format" [ ] "cargo fmt --all --check";
    lints = check "lints" [ ] ''
      cargo clippy --release --frozen --workspace --all-targets -- --deny warnings
    '';
    # `tidy`, the invariants, asks git which files there are; `chroot` makes images of programs as nixpkgs links them, with its
    # own loader and in the store, and starts them.
    tests =
      check "tests"
        [
          pkgs.git
          pkgs.util-linux
        ]
        ''
          git init --quiet
          git add --all
          cargo test --release --frozen --workspace --lib --bins --test tidy --test chroot
        '';
    probes = pkgs.runCommand "check-probes" { } ''
      for probe in ${../probes}/*.bpf.c; do
        for processor in amd64 arm64; do
          ${packages.bee}/bin/bee build "$probe" --arch $processor --output-file probe.o
        done
      done
      touch $out
    '';
  };
}
